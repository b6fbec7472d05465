//! Which files become rows, and in which order.

use std::path::PathBuf;

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which rollouts to read.
#[derive(Debug, Clone, Default)]
pub struct RolloutOptions {
    /// Files, folders and patterns; none for the default directories of all tools.
    pub sources: Vec<PathBuf>,
    /// Name of the import format of all files; by default each file's own.
    pub format: Option<String>,
    /// Index and number of partitions: contiguous parts of the sorted list of files, of equal size but for the last, which
    /// has the rest.
    pub partition: Option<(usize, usize)>,
    /// The order of files; by default that of their paths.
    pub shuffle: Option<Shuffle>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Worker threads.
    pub threads: usize,
}

/// A random order that depends on the seed and the list of files alone.
#[derive(Debug, Clone, Copy)]
pub struct Shuffle {
    /// The seed.
    pub seed: u64,
}

/// The files to read, in order.
pub(super) fn select<T>(files: Vec<T>, options: &RolloutOptions) -> Result<Vec<T>> {
    let range = match options.partition {
        None => 0..files.len(),
        Some((index, count)) => {
            if index >= count {
                let found = format!("partition {index} of {count}");
                return Err(TraceError::usage("partition", Diagnostic::unnamed(found, "an index below the number")));
            }
            if count > files.len() {
                let expected = format!("at most as many as files, {}", files.len());
                return Err(TraceError::usage(
                    "partition",
                    Diagnostic::unnamed(format!("{count} partitions"), expected),
                ));
            }
            let size = files.len() / count;
            let end = if index + 1 == count { files.len() } else { (index + 1) * size };
            index * size..end
        }
    };
    // The rank of a file depends on its place in the whole list, so that partitions of a shuffled list are disjoint, too.
    let mut chosen: Vec<_> = files.into_iter().enumerate().skip(range.start).take(range.len()).collect();
    if let Some(Shuffle { seed }) = options.shuffle {
        chosen.sort_by_key(|(index, _)| (xxh3_64_with_seed(&(*index as u64).to_le_bytes(), seed), *index));
    }
    Ok(chosen.into_iter().map(|(_, file)| file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: usize, options: &RolloutOptions) -> Vec<usize> {
        select((0..files).collect(), options).expect("a valid choice")
    }

    #[test]
    fn partitions_cover_all_files_and_the_last_has_the_rest() {
        let part = |index| chosen(11, &RolloutOptions { partition: Some((index, 4)), ..RolloutOptions::default() });
        assert_eq!([part(0), part(1), part(2), part(3)], [vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7, 8, 9, 10]]);
        let too_many = RolloutOptions { partition: Some((0, 12)), ..RolloutOptions::default() };
        let error = select((0..11).collect::<Vec<_>>(), &too_many).expect_err("too many partitions");
        assert!(error.to_string().contains("found 12 partitions, expected at most as many as files, 11"), "{error}");
    }

    #[test]
    fn an_order_depends_on_its_seed_alone() {
        let with = |seed| RolloutOptions { shuffle: Some(Shuffle { seed }), ..RolloutOptions::default() };
        let (first, second) = (chosen(50, &with(1)), chosen(50, &with(2)));
        assert_eq!(first, chosen(50, &with(1)));
        assert_ne!(first, second);
        let mut sorted = second;
        sorted.sort_unstable();
        assert_eq!(sorted, chosen(50, &RolloutOptions::default()));
        // Files of a partition stay in it.
        let mut part = chosen(50, &RolloutOptions { partition: Some((1, 5)), ..with(3) });
        part.sort_unstable();
        assert_eq!(part, (10..20).collect::<Vec<_>>());
    }
}
