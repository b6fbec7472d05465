//! A set of ids as intervals: small if ids are assigned in order.

use std::collections::BTreeMap;
use std::ops::Range;

use roaring::RoaringTreemap;

/// A set of integers as maximal half-open intervals.
#[derive(Debug, Default)]
pub(crate) struct Intervals {
    /// Start to end; intervals neither overlap nor touch.
    map: BTreeMap<i64, i64>,
    /// The range that was last added again: mostly the same range is added again.
    last_known: Range<i64>,
}

impl Intervals {
    /// Adds a range and calls `known` with each part of it that was in the set already, in order.
    pub fn add(&mut self, range: Range<i64>, mut known: impl FnMut(Range<i64>)) {
        if range.is_empty() {
            return;
        }
        if self.last_known.start <= range.start && range.end <= self.last_known.end {
            return known(range);
        }
        let (mut start, mut end) = (range.start, range.end);
        // Most new ranges come after all others.
        if let Some(mut last) = self.map.last_entry()
            && *last.key() <= start
        {
            let before = *last.get();
            if before < start {
                self.map.insert(start, end);
                return;
            }
            if before <= end {
                last.insert(end);
                if before > start {
                    known(start..before);
                }
                return;
            }
        }
        if let Some((&s, &e)) = self.map.range(..=start).next_back()
            && e >= start
        {
            if e > start {
                known(start..end.min(e));
            }
            if e >= end {
                self.last_known = range;
                return;
            }
            start = s;
        }
        // Intervals that begin inside the range or at its end become part of it.
        while let Some((&s, &e)) = self.map.range(range.start.max(start + 1)..=end).next() {
            if s >= range.end {
                end = e;
            } else {
                known(s..e.min(range.end));
                end = end.max(e);
            }
            self.map.remove(&s);
        }
        self.map.insert(start, end);
    }

    /// Whether an integer is in the set.
    pub fn contains(&self, id: i64) -> bool {
        self.map.range(..=id).next_back().is_some_and(|(_, end)| id < *end)
    }

    /// The ids of `ids` that are in the set.
    pub fn intersection(&self, ids: &RoaringTreemap) -> RoaringTreemap {
        let mut common = RoaringTreemap::new();
        let mut ids = ids.iter();
        let mut next = ids.next();
        for (&start, &end) in &self.map {
            if next.is_some_and(|id| (id as i64) < start) {
                ids.advance_to(start as u64);
                next = ids.next();
            }
            while let Some(id) = next.filter(|id| (*id as i64) < end) {
                common.insert(id);
                next = ids.next();
            }
        }
        common
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_set(ranges in prop::collection::vec((0i64..60, 0i64..12), 0..40)) {
            let (mut intervals, mut set) = (Intervals::default(), BTreeSet::new());
            for (start, len) in ranges {
                let range = start..start + len;
                let expected: Vec<i64> = range.clone().filter(|i| set.contains(i)).collect();
                let mut known = Vec::new();
                intervals.add(range.clone(), |r| known.extend(r));
                prop_assert_eq!(known, expected);
                set.extend(range);
                let parts: Vec<_> = intervals.map.iter().map(|(s, e)| *s..*e).collect();
                prop_assert!(parts.windows(2).all(|w| w[0].end < w[1].start), "not maximal: {:?}", parts);
                prop_assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
                let even: RoaringTreemap = (0..80).step_by(2).collect();
                prop_assert!(intervals.intersection(&even).iter().eq(set.iter().filter(|i| *i % 2 == 0).map(|i| *i as u64)));
                prop_assert!((0..80).all(|i| intervals.contains(i) == set.contains(&i)));
            }
        }
    }
}
