//! What makes sessions differ: correlated normal effects on lengths and delays.
//!
//! A quantity of a session is drawn at the normal score `sqrt(s) E + sqrt(1 - s) Z`: `E` is the session's effect, `Z` the
//! call's own, `s` the share of the variance between sessions. So the distribution over all sessions stays as stated
//! (a Gaussian copula).

use crate::config::{Effect, SessionEffects};
use crate::dist::score;
use crate::rng::RandomStream;

pub(crate) const EFFECTS: usize = 5;

/// The law of the effects of a session.
#[derive(Debug, Clone)]
pub(crate) struct EffectLaw {
    /// Lower triangle of the Cholesky factor of their correlations.
    factor: [[f64; EFFECTS]; EFFECTS],
    /// Square roots of the shares between and within sessions.
    between: [f64; EFFECTS],
    within: [f64; EFFECTS],
}

/// The effects of a session, scaled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Effects {
    shift: [f64; EFFECTS],
}

impl EffectLaw {
    /// `None` if the correlations contradict each other.
    pub(crate) fn new(stated: &SessionEffects) -> Option<Self> {
        let shares =
            [stated.tool_new_tokens, stated.human_new_tokens, stated.output, stated.tool_delay, stated.human_delay];
        let mut factor = correlations(stated);
        for i in 0..EFFECTS {
            for j in 0..=i {
                let sum = (0..j).fold(factor[i][j], |sum, k| sum - factor[i][k] * factor[j][k]);
                factor[i][j] = match i == j {
                    true if sum < 1e-9 => return None,
                    true => sum.sqrt(),
                    false => sum / factor[j][j],
                };
            }
        }
        Some(Self { factor, between: shares.map(f64::sqrt), within: shares.map(|share| (1.0 - share).sqrt()) })
    }

    /// Draws the effects of a session.
    pub(crate) fn draw(&self, stream: &mut RandomStream) -> Effects {
        let scores: [f64; EFFECTS] = std::array::from_fn(|_| score(stream));
        let mut shift = [0.0; EFFECTS];
        for (i, value) in shift.iter_mut().enumerate() {
            let correlated: f64 = (0..=i).map(|j| self.factor[i][j] * scores[j]).sum();
            *value = correlated * self.between[i];
        }
        Effects { shift }
    }

    /// The normal score of a draw of a session.
    #[inline]
    pub(crate) fn score(&self, effects: &Effects, effect: Effect, stream: &mut RandomStream) -> f64 {
        let index = effect as usize;
        effects.shift[index] + self.within[index] * score(stream)
    }
}

fn correlations(stated: &SessionEffects) -> [[f64; EFFECTS]; EFFECTS] {
    let mut matrix = [[0.0; EFFECTS]; EFFECTS];
    for (i, row) in matrix.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for correlation in &stated.correlations {
        let [a, b] = correlation.between.map(|effect| effect as usize);
        matrix[a][b] = correlation.value;
        matrix[b][a] = correlation.value;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Correlation;
    use crate::rng::{Purpose, RandomStreams};

    #[test]
    fn effects_have_the_stated_shares_and_correlations() {
        let stated = SessionEffects {
            tool_new_tokens: 0.25,
            output: 0.16,
            tool_delay: 0.5,
            correlations: vec![Correlation { between: [Effect::Output, Effect::ToolDelay], value: 0.6 }],
            ..SessionEffects::default()
        };
        let law = EffectLaw::new(&stated).expect("possible");
        let (mut squares, mut product, sessions) = ([0.0; EFFECTS], 0.0, 100_000);
        for session in 0..sessions {
            let effects = law.draw(&mut RandomStreams::new(1).stream(Purpose::Content, session));
            for (square, shift) in squares.iter_mut().zip(effects.shift) {
                *square += shift * shift / sessions as f64;
            }
            product += effects.shift[2] * effects.shift[3] / sessions as f64;
        }
        for (square, share) in squares.iter().zip([0.25, 0.0, 0.16, 0.5, 0.0]) {
            assert!((square - share).abs() < 0.01, "{squares:?}");
        }
        assert!((product / (0.16_f64 * 0.5).sqrt() - 0.6).abs() < 0.02, "{product}");
    }

    #[test]
    fn correlations_that_contradict_each_other_are_refused() {
        let between = |a, b, value| Correlation { between: [a, b], value };
        let correlations = vec![
            between(Effect::Output, Effect::ToolDelay, 0.9),
            between(Effect::Output, Effect::HumanDelay, 0.9),
            between(Effect::ToolDelay, Effect::HumanDelay, -0.9),
        ];
        assert!(EffectLaw::new(&SessionEffects { correlations, ..SessionEffects::default() }).is_none());
    }
}
