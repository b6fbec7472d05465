//! Writes a trace in formats that other programs read.
//!
//! [`FORMATS`] is the table of formats, and of what each holds. All of them are written from the same bundles (`read`): linked
//! sessions with times (`times`) and with block ids of any size (`blocks`). A writer (`targets`) turns a bundle into bytes.

mod about;
mod blocks;
mod bundle;
mod dataset;
mod formats;
mod holds;
mod order;
mod output;
mod read;
mod record;
mod session_blocks;
mod targets;
mod text;
mod times;

use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::ordered::{Cancel, Ordered};
use agentgen_trace::sink::compression::Compression;
use agentgen_trace::sink::file::digest;
use agentgen_trace::source::Source as TraceSource;
use agentgen_trace::words::Words;
use schemars::JsonSchema;
use serde::Serialize;

use self::blocks::Numbering;
use self::bundle::Bundle;
use self::output::{RecordFile, RecordFolder, WrittenFiles};
use self::read::{Bundles, Seed, Totals};
use self::record::Records;
use self::text::Source;

pub use self::blocks::Cover;
pub use self::formats::{Container, FORMATS, Format, named};
pub use self::holds::{Held, Loss, Part};
pub use self::output::Target;

/// Tokens of the prompts that are written by one thread at a time, about.
const CHUNK_TOKENS: u64 = 8 << 20;
const CHUNK_BUNDLES: usize = 512;

/// What is written.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Name of the format.
    pub format: String,
    /// Where it is written.
    pub target: Target,
    /// Tokens of a block in the export; `None`: as in the trace.
    pub block_size: Option<u32>,
    /// Whether prompts are made of words, for formats that hold text.
    pub text: bool,
    /// The words; common English ones if `None`.
    pub words: Option<Vec<String>>,
    /// Whether to write nothing if the format does not hold all that the trace says.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
}

/// What was written.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "export.json")]
pub struct Exported {
    /// Name of the format.
    pub format: String,
    /// What it is.
    pub title: String,
    /// Sessions.
    pub sessions: u64,
    /// Requests.
    pub requests: u64,
    /// Files.
    pub files: u64,
    /// Size of all files.
    pub bytes: u64,
    /// SHA-256 of a single file.
    pub sha256: Option<String>,
    /// Tokens of a block in the export; null for formats without blocks.
    pub block_size: Option<u32>,
    /// The option by which the reader learns that size.
    pub block_size_option: Option<String>,
    /// What the export does not hold as the trace does.
    pub losses: Vec<Loss>,
}

/// Writes a trace in another format.
pub fn export(source: &TraceSource, options: &ExportOptions, cancel: &Cancel) -> Result<Exported> {
    let format = named(&options.format)?;
    let block_tokens = check(source, format, options)?;
    if options.strict {
        let totals = Arc::default();
        for bundle in Bundles::open(source, None, None, &totals, options.threads, cancel)? {
            bundle?;
        }
        if let Some(loss) = losses(format, source, block_tokens, &lock(&totals)).first() {
            let found = format!("a trace with {} {}", loss.count, loss.part.title());
            let held = loss.approximated.as_deref().unwrap_or("nothing");
            let expected = format!("one that {} holds exactly (it has {held})", format.name);
            return Err(Diagnostic::unnamed(found, expected).with_help("leave out --strict").into());
        }
    }
    let (written, totals) = if format.container == Container::DataSet {
        let Target::Path(path) = &options.target else { return Err(needs_directory(format)) };
        let (written, rows) = dataset::write(source, path, options.threads, cancel)?;
        (written, Totals { sessions: rows.sessions, requests: rows.turns, ..Totals::default() })
    } else {
        write(source, format, options, block_tokens, cancel)?
    };
    let has_blocks = format.ids.is_some() || format.container == Container::DataSet;
    Ok(Exported {
        format: format.name.to_owned(),
        title: format.title.to_owned(),
        sessions: totals.sessions,
        requests: totals.requests,
        files: written.files,
        bytes: written.bytes,
        sha256: written.sha256,
        block_size: has_blocks.then_some(block_tokens),
        block_size_option: format.block_size_option.map(|option| option.replace("{}", &block_tokens.to_string())),
        losses: losses(format, source, block_tokens, &totals),
    })
}

/// Checks options against each other; the block size of the export.
fn check(source: &TraceSource, format: &Format, options: &ExportOptions) -> Result<u32> {
    if format.has_text && !options.text {
        let diagnostic = Diagnostic::unnamed(format!("the format {}", format.name), "one without text, or --text");
        let help = "a trace has no text: --text makes prompts of words";
        return Err(TraceError::usage("to", diagnostic.with_help(help)));
    }
    if options.text && !format.has_text {
        let with_text: Vec<_> = FORMATS.iter().filter(|format| format.has_text).map(|format| format.name).collect();
        let expected = format!("a format with text: {}", with_text.join(", "));
        return Err(TraceError::usage("text", Diagnostic::unnamed(format.name, expected)));
    }
    if format.is_directory() && options.target == Target::Stdout {
        return Err(needs_directory(format));
    }
    let own = source.meta.block_size;
    let size = options.block_size.unwrap_or(own);
    if size == 0 {
        return Err(TraceError::usage("trace_block_size", Diagnostic::unnamed("0", "at least 1")));
    }
    if size != own && format.ids.is_none() {
        let expected = format!("{own}, as in the trace: {} is written without new blocks", format.name);
        return Err(TraceError::usage("trace_block_size", Diagnostic::unnamed(size.to_string(), expected)));
    }
    Ok(size)
}

fn needs_directory(format: &Format) -> TraceError {
    let found = format!("standard output for {}, which is a directory", format.name);
    TraceError::usage("output", Diagnostic::unnamed(found, "a path"))
}

/// What the format does not hold of what the trace has.
fn losses(format: &Format, source: &TraceSource, block_tokens: u32, totals: &Totals) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    for (part, held) in Part::ALL.into_iter().zip(format.holds) {
        let count = totals.counts.of(part);
        let approximated = match held {
            Held::Exact => continue,
            Held::Approximated(how) => Some(how.to_owned()),
            Held::Lost => None,
        };
        if count > 0 {
            losses.push(Loss { part, count, approximated });
        }
    }
    let own = source.meta.block_size;
    if format.ids.is_some() && !own.is_multiple_of(block_tokens) {
        let how = format!("what prompts share in blocks of {own} tokens, as far as it fills blocks of {block_tokens}");
        losses.push(Loss { part: Part::Blocks, count: totals.requests, approximated: Some(how) });
    }
    losses
}

fn lock(totals: &Arc<Mutex<Totals>>) -> Totals {
    *totals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes records: bundles are read and numbered in order, and become bytes on several threads.
fn write(
    source: &TraceSource,
    format: &'static Format,
    options: &ExportOptions,
    block_tokens: u32,
    cancel: &Cancel,
) -> Result<(WrittenFiles, Totals)> {
    let words = || Words::new(options.words.clone(), "").map_err(|found| TraceError::Usage(Box::new(found)));
    let seeds = options.text.then(words).transpose()?;
    let seed = seeds.map(|words| Box::new(move |name: &str| words.owner(name)) as Seed);
    let made = Arc::new(Source {
        block_tokens,
        id_tokens: source.meta.block_size,
        words: options.text.then(words).transpose()?,
    });
    let numbering = format.ids.map(|cover| Numbering::new(&source.meta, cover, block_tokens));
    let totals = Arc::default();
    let mut sink = Sink::create(source, format, options, block_tokens)?;
    let bundles = Bundles::open(source, numbering, seed, &totals, options.threads, cancel)?;
    let compression = if format.is_sorted { Compression::None } else { options.target.compression() };
    let container = format.container;
    let chunks = chunks(bundles).enumerate();
    let threads = options.threads;
    let encoded = Ordered::start(threads, threads + 1, cancel, chunks, || {
        let made = Arc::clone(&made);
        move |(number, chunk): (usize, Result<Vec<Bundle>>)| {
            let mut records = Records::default();
            for bundle in chunk? {
                (format.write)(&made, &bundle, &mut records);
            }
            if container == Container::Array {
                records.separate(number == 0);
            }
            records.bytes = compression.frame(std::mem::take(&mut records.bytes))?;
            Ok(records)
        }
    });
    for records in encoded {
        sink.add(records?)?;
    }
    let written = sink.finish(format)?;
    Ok((written, lock(&totals)))
}

/// Bundles in parts that are worth a thread's while.
fn chunks(bundles: Bundles) -> impl Iterator<Item = Result<Vec<Bundle>>> + Send {
    let mut bundles = bundles.fuse();
    std::iter::from_fn(move || {
        let (mut chunk, mut tokens) = (Vec::new(), 0);
        while tokens < CHUNK_TOKENS && chunk.len() < CHUNK_BUNDLES {
            match bundles.next() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(bundle)) => {
                    let turns = bundle.members.iter().flat_map(|member| &member.session.turns);
                    tokens += turns.map(|turn| u64::from(turn.context_tokens)).sum::<u64>();
                    chunk.push(bundle);
                }
            }
        }
        (!chunk.is_empty()).then_some(Ok(chunk))
    })
}

/// Where the records of a format go.
enum Sink {
    File(RecordFile, bool),
    Folder(RecordFolder),
}

impl Sink {
    fn create(source: &TraceSource, format: &Format, options: &ExportOptions, block_tokens: u32) -> Result<Self> {
        if format.container == Container::Files {
            let Target::Path(path) = &options.target else { return Err(needs_directory(format)) };
            return RecordFolder::create(path).map(Self::Folder);
        }
        let header = match format.container {
            Container::Lines { header } => header.map(|line| format!("{line}\n")),
            Container::LinesOfTrace => Some(agentic_header(source, block_tokens)?),
            Container::Array => Some("[\n".to_owned()),
            Container::Files | Container::DataSet => None,
        };
        let mut file = RecordFile::create(&options.target, format.is_sorted)?;
        if let Some(header) = header {
            file.append_plain(header.into_bytes())?;
        }
        Ok(Self::File(file, format.is_sorted))
    }

    fn add(&mut self, records: Records) -> Result<()> {
        match self {
            Self::File(file, true) => file.add(&records),
            Self::File(file, false) => file.append(records.bytes),
            Self::Folder(folder) => folder.add(&records),
        }
    }

    fn finish(self, format: &Format) -> Result<WrittenFiles> {
        match self {
            Self::File(mut file, _) => {
                if format.container == Container::Array {
                    file.append_plain(b"\n]\n".to_vec())?;
                }
                file.finish()
            }
            Self::Folder(folder) => folder.finish(),
        }
    }
}

/// The first line of an agentic Mooncake trace.
fn agentic_header(source: &TraceSource, block_tokens: u32) -> Result<String> {
    let mut digests = Vec::new();
    for file in &source.files {
        let listed = source.expected_files.iter().find(|expected| expected.path == file.path);
        let entry = listed.map_or_else(|| digest(&file.path), |expected| Ok(expected.entry.clone()))?;
        digests.push(format!("sha256:{}", entry.sha256));
    }
    let header = serde_json::json!({
        "schema": "dynamo.agentic_mooncake",
        "version": 2,
        "block_size": block_tokens,
        "hash_id_scope": "local",
        "source": {"format": "agentgen", "digest": digests.join(" ")},
    });
    Ok(format!("{header}\n"))
}
