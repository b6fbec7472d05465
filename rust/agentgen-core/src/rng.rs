//! Random streams, addressed by (seed, purpose, root session).
//!
//! Each purpose of each root session has its own stream, so any value can be drawn alone, in any order and on any
//! thread: sessions share no generator state. A stream is xoshiro256++; its four state words are four keyed bijections
//! of the root session's index, so no two root sessions start from the same state.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream is used for. The discriminant is part of the address: changing it changes every generated row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Lengths, delays and resets of the turns.
    Content = 0,
    /// The L1.5 group.
    Group = 1,
    /// Whether a restart splits the root session.
    Restart = 2,
    /// The turn index of the split.
    Split = 3,
    /// The root session after which the continuation is written.
    Slot = 4,
    /// The gap before the arrival, seconds.
    Arrival = 5,
    /// The turn count, where the configuration states `turns`.
    Target = 6,
    /// Key of the session-id bijection; the data set has one, at index 0.
    SessionIds = 7,
    /// What the calls of a session have in common: effects, context window, number of calls.
    Line = 8,
    /// Which sub-agents a session starts.
    Spawn = 9,
    /// The same for the session after a restart, whose stream has the number of the session before.
    SpawnAfterRestart = 10,
}

/// Streams of a root session's tree are numbered in the bits above those of its index.
const MEMBER_SHIFT: u32 = 48;

const PURPOSES: usize = 11;

/// Odd multipliers: each makes `root -> root * m` a bijection of 64-bit integers.
const MULTIPLIERS: [u64; 4] =
    [0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03, 0xABC9_8388_FB8F_AC03, 0x8CB9_2BA7_2F3D_8DD7];

/// The finalizer of `SplitMix64`: a bijection in which each input bit changes about half of the output bits.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// All streams of a seed.
#[derive(Debug, Clone)]
pub struct RandomStreams {
    keys: [[u64; 4]; PURPOSES],
}

impl RandomStreams {
    /// The streams of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut keys = [[0; 4]; PURPOSES];
        for (purpose, words) in keys.iter_mut().enumerate() {
            for (word, key) in words.iter_mut().enumerate() {
                *key = mix(mix(seed.wrapping_add(MULTIPLIERS[0])) ^ mix((purpose * 4 + word + 1) as u64));
            }
        }
        Self { keys }
    }

    /// The stream for a purpose of root session `root`, at its start.
    #[inline]
    #[must_use]
    pub fn stream(&self, purpose: Purpose, root: u64) -> RandomStream {
        let keys = &self.keys[purpose as usize];
        let mut seed = [0; 32];
        for (word, bytes) in seed.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&mix(keys[word] ^ root.wrapping_mul(MULTIPLIERS[word])).to_le_bytes());
        }
        RandomStream(Xoshiro256PlusPlus::from_seed(seed))
    }
}

impl RandomStreams {
    /// The stream for a purpose of the stream `number` of a root session's tree.
    #[inline]
    #[must_use]
    pub fn member_stream(&self, purpose: Purpose, root: u64, number: u64) -> RandomStream {
        self.stream(purpose, root + (number << MEMBER_SHIFT))
    }
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct RandomStream(Xoshiro256PlusPlus);

impl RandomStream {
    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform on the open interval (0, 1): 2^53 values, symmetric about 1/2; never 0 or 1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform on `0..n` without modulo bias (Lemire's multiply-and-reject method). `n` must be at least 1.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let wide = u128::from(self.bits()) * u128::from(n);
            let low = wide as u64;
            if low >= n || low >= n.wrapping_neg() % n {
                return (wide >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_independent() {
        let streams = RandomStreams::new(42);
        let first = |purpose, root| streams.stream(purpose, root).bits();
        assert_eq!(first(Purpose::Content, 0), first(Purpose::Content, 0));
        assert_ne!(first(Purpose::Content, 0), first(Purpose::Content, 1));
        assert_ne!(first(Purpose::Content, 0), first(Purpose::Group, 0));
        assert_ne!(first(Purpose::Content, 0), RandomStreams::new(43).stream(Purpose::Content, 0).bits());
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut stream = RandomStreams::new(1).stream(Purpose::Slot, 7);
        let mut counts = [0u32; 5];
        for _ in 0..50_000 {
            counts[stream.below(5) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn uniform_stays_inside_the_open_interval() {
        let mut stream = RandomStreams::new(2).stream(Purpose::Content, 0);
        let mean = (0..100_000).map(|_| stream.uniform()).inspect(|u| assert!(*u > 0.0 && *u < 1.0)).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }
}
