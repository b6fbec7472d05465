//! Bootstrap intervals: figures of samples drawn with replacement from what was measured.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::figures::{FIGURES, Figures, RATES, Sample};
use crate::summary::statistics::percentile;

/// Figures of the measured sample, and of every draw.
pub(super) struct Resampled {
    pub figures: Figures,
    pub draws: Vec<Figures>,
}

/// Draws runs if there are several, else sessions of the only run. Every group has its own random stream.
pub(super) fn resample(samples: &[Sample], measured: &[Figures], draws: u32, seed: u64, group: u64) -> Resampled {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..group).for_each(|_| random.jump());
    let draws = match samples {
        [one] if one.sessions() > 1 => (0..draws)
            .map(|_| {
                let mut weights = vec![0; one.sessions()];
                (0..weights.len()).for_each(|_| weights[below(&mut random, one.sessions())] += 1);
                let mut drawn = one.weighted(&weights);
                // How long other sessions would have taken is unknown, so draws have no rates.
                drawn[..RATES].fill(None);
                drawn
            })
            .collect(),
        [] | [_] => Vec::new(),
        _ => (0..draws)
            .map(|_| mean((0..measured.len()).map(|_| measured[below(&mut random, measured.len())])))
            .collect(),
    };
    Resampled { figures: mean(measured.iter().copied()), draws }
}

/// A number below `end`, uniform to 2^-64.
fn below(random: &mut impl Rng, end: usize) -> usize {
    ((u128::from(random.next_u64()) * end as u128) >> 64) as usize
}

/// The mean of each figure that all samples have.
fn mean(all: impl Iterator<Item = Figures>) -> Figures {
    let all: Vec<Figures> = all.collect();
    std::array::from_fn::<_, { FIGURES.len() }, _>(|figure| {
        let sum = all.iter().map(|of| of[figure]).sum::<Option<f64>>()?;
        (!all.is_empty()).then(|| sum / all.len() as f64)
    })
}

/// The central interval that holds the share `confidence` of the draws.
pub(super) fn interval(draws: impl Iterator<Item = Option<f64>>, confidence: f64) -> Option<(f64, f64)> {
    let mut draws: Vec<f64> = draws.flatten().filter(|draw| draw.is_finite()).collect();
    draws.sort_unstable_by(f64::total_cmp);
    let outside = ((1.0 - confidence) / 2.0 * 1000.0).round() as u64;
    percentile(&draws, outside).zip(percentile(&draws, 1000 - outside))
}
