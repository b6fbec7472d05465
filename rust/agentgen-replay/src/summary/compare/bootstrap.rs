//! How much figures would vary: drawn again, with replacement, from what was measured.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::figures::{FIGURES, Figures, RATES, Sample};
use crate::summary::statistics::percentile;

/// Figures as they are, and of every draw.
pub(super) struct Resampled {
    pub figures: Figures,
    pub draws: Vec<Figures>,
}

/// Draws runs where there are several, sessions of the one otherwise. Every group has draws of its own.
pub(super) fn resample(samples: &[Sample], told: &[Figures], draws: u32, seed: u64, group: u64) -> Resampled {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..group).for_each(|_| random.jump());
    let draws = match samples {
        [one] if one.sessions() > 1 => (0..draws)
            .map(|_| {
                let mut weights = vec![0; one.sessions()];
                (0..weights.len()).for_each(|_| weights[below(&mut random, one.sessions())] += 1);
                let mut drawn = one.weighted(&weights);
                // Other sessions would have taken another time, which nobody knows.
                drawn[..RATES].fill(None);
                drawn
            })
            .collect(),
        [] | [_] => Vec::new(),
        _ => (0..draws).map(|_| mean((0..told.len()).map(|_| told[below(&mut random, told.len())]))).collect(),
    };
    Resampled { figures: mean(told.iter().copied()), draws }
}

/// A number below `end`, each with the same probability to 2^-64.
fn below(random: &mut impl Rng, end: usize) -> usize {
    ((u128::from(random.next_u64()) * end as u128) >> 64) as usize
}

/// Of figures that all of them have.
fn mean(all: impl Iterator<Item = Figures>) -> Figures {
    let all: Vec<Figures> = all.collect();
    std::array::from_fn::<_, { FIGURES.len() }, _>(|figure| {
        let sum = all.iter().map(|of| of[figure]).sum::<Option<f64>>()?;
        (!all.is_empty()).then(|| sum / all.len() as f64)
    })
}

/// The middle of the draws that holds the share `confidence` of them.
pub(super) fn interval(draws: impl Iterator<Item = Option<f64>>, confidence: f64) -> Option<(f64, f64)> {
    let mut draws: Vec<f64> = draws.flatten().filter(|draw| draw.is_finite()).collect();
    draws.sort_unstable_by(f64::total_cmp);
    let outside = ((1.0 - confidence) / 2.0 * 1000.0).round() as u64;
    percentile(&draws, outside).zip(percentile(&draws, 1000 - outside))
}
