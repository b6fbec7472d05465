//! Which layers cache the whole context, a window of it, or a state.

use serde_json::Value;

use super::error::ModelError;
use super::fields::{Fields, MOST, describe};

/// How a model type states the kinds of its layers, if it does not list them.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Every layer is full.
    Full,
    /// Every layer is windowed when `sliding_window` is a number, and full when it is `null`.
    Windowed,
    /// All but every nth layer are windowed; n is `sliding_window_pattern`, 6 when absent (Gemma 3's own default).
    WindowPattern,
    /// Every nth layer is full, the others are linear; n is `full_attention_interval`.
    Interval,
    /// `hybrid_override_pattern`, one letter per layer.
    Blocks,
    /// Layers number `attn_layer_offset` of every `attn_layer_period` are full, the others Mamba.
    Period,
    /// The layers of `attn_layer_indices` are full, the others Mamba.
    Indices,
    /// Only by a list.
    Listed,
}

/// Number of layers by what they cache.
#[derive(Default)]
pub(super) struct Kinds {
    /// The whole context.
    pub full: u64,
    /// A window of it.
    pub windowed: u64,
    /// A state of fixed size.
    pub state: u64,
    /// Nothing.
    pub other: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Full,
    Windowed,
    State,
    Other,
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        let mut counts = Self::default();
        for kind in kinds {
            *match kind {
                Kind::Full => &mut counts.full,
                Kind::Windowed => &mut counts.windowed,
                Kind::State => &mut counts.state,
                Kind::Other => &mut counts.other,
            } += 1;
        }
        counts
    }
}

/// Counts the layers of each kind; true if they are listed one by one or decided by the window itself.
pub(super) fn count(fields: &Fields, rule: Rule) -> Result<(Kinds, bool), ModelError> {
    // The newer name first: a program that writes both supports both.
    if let Some(name) = ["layer_types", "layers_block_type"].into_iter().find(|name| fields.get(name).is_some()) {
        return Ok((listed(fields, name)?, true));
    }
    let every =
        |full: u64, rest: Kind| move |layer: u64| if (layer + 1).is_multiple_of(full) { Kind::Full } else { rest };
    let kinds = match rule {
        Rule::Full => Kinds { full: total(fields)?, ..Kinds::default() },
        Rule::Windowed => return Ok((windowed(fields)?, true)),
        Rule::WindowPattern => {
            let name =
                ["sliding_window_pattern", "_sliding_window_pattern"].into_iter().find(|n| fields.get(n).is_some());
            let full = name.map_or(Ok(6), |name| fields.count(name, MOST))?;
            (0..total(fields)?).map(every(full, Kind::Windowed)).collect()
        }
        Rule::Interval => {
            let full = fields.count("full_attention_interval", MOST)?;
            (0..total(fields)?).map(every(full, Kind::State)).collect()
        }
        Rule::Blocks => lettered(fields)?,
        Rule::Period => {
            let period = fields.count("attn_layer_period", MOST)?;
            let offset = fields.number("attn_layer_offset", 0, period - 1)?;
            let kind = |layer: u64| if layer % period == offset { Kind::Full } else { Kind::State };
            (0..total(fields)?).map(kind).collect()
        }
        Rule::Indices => indexed(fields)?,
        Rule::Listed => return Err(fields.unexpected("layer_types", "a list of the layers' kinds")),
    };
    Ok((kinds, false))
}

fn total(fields: &Fields) -> Result<u64, ModelError> {
    fields.count("num_hidden_layers", MOST)
}

/// A list of names, one per layer.
fn listed(fields: &Fields, name: &str) -> Result<Kinds, ModelError> {
    let list = fields.list(name, "a list of the layers' kinds")?;
    same_length(fields, name, list.len())?;
    let kind = |(layer, value): (usize, &Value)| match value.as_str() {
        Some("full_attention" | "attention") => Ok(Kind::Full),
        Some("sliding_attention") => Ok(Kind::Windowed),
        Some("linear_attention" | "mamba") => Ok(Kind::State),
        Some("moe" | "mlp") => Ok(Kind::Other),
        _ => Err(fields.error(
            &format!("{name}[{layer}]"),
            format!(
                "found {}, which is not known here; expected full_attention, sliding_attention, linear_attention, \
                 moe or mlp",
                describe(value)
            ),
        )),
    };
    list.iter().enumerate().map(kind).collect()
}

/// Nemotron-H's pattern, one letter per layer.
fn lettered(fields: &Fields) -> Result<Kinds, ModelError> {
    let name = "hybrid_override_pattern";
    let expected = "a letter a layer: * (attention), M (Mamba), E (experts) or - (MLP)";
    let pattern = fields.text(name, expected)?;
    same_length(fields, name, pattern.chars().count())?;
    let kind = |letter| match letter {
        '*' => Ok(Kind::Full),
        'M' => Ok(Kind::State),
        'E' | '-' => Ok(Kind::Other),
        _ => Err(fields.error(name, format!("found the letter {letter}; expected {expected}"))),
    };
    pattern.chars().map(kind).collect()
}

/// Checks that there is one entry per layer.
fn same_length(fields: &Fields, name: &str, length: usize) -> Result<(), ModelError> {
    if fields.get("num_hidden_layers").is_some() {
        let layers = total(fields)?;
        if length as u64 != layers {
            let rule = format!("found {length} entries; expected {layers}, as num_hidden_layers states");
            return Err(fields.error(name, rule));
        }
    } else if !(1..=MOST).contains(&(length as u64)) {
        return Err(fields.error(name, format!("found {length} entries; expected 1 to {MOST}, one a layer")));
    }
    Ok(())
}

/// Bamba's list of attention layers.
fn indexed(fields: &Fields) -> Result<Kinds, ModelError> {
    let name = "attn_layer_indices";
    let layers = total(fields)?;
    let expected = format!("a list of different layers from 0 to {}", layers - 1);
    let list = fields.list(name, &expected)?;
    let mut full = vec![false; layers as usize];
    for value in list {
        let layer = value.as_u64().and_then(|layer| full.get_mut(usize::try_from(layer).ok()?));
        match layer {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(fields.error(name, format!("found {}; expected {expected}", describe(value)))),
        }
    }
    Ok(full.into_iter().map(|full| if full { Kind::Full } else { Kind::State }).collect())
}

/// Mistral's window. An absent field is not the same as null: the reference implementation then uses a window of 4,096
/// tokens.
fn windowed(fields: &Fields) -> Result<Kinds, ModelError> {
    if !fields.states("sliding_window") {
        return Err(fields.unexpected("sliding_window", "null or a number of tokens"));
    }
    let layers = total(fields)?;
    Ok(match fields.get("sliding_window") {
        None => Kinds { full: layers, ..Kinds::default() },
        Some(_) => Kinds { windowed: layers, ..Kinds::default() },
    })
}
