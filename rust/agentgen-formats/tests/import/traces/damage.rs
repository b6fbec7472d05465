//! No damage of a file makes a reader panic, hang or give a session without calls.

use agentgen_formats::import::formats::{FORMATS, detect};

use super::{lengths, record, requests, weka, with_ids};
use crate::support::Folder;

const SAMPLES: [&str; 20] = [
    weka::TRACE,
    with_ids::MOONCAKE,
    with_ids::DELTA,
    with_ids::BAILIAN,
    with_ids::AGENTIC_1,
    with_ids::AGENTIC_2,
    with_ids::DYNAMO,
    lengths::AZURE,
    lengths::BURST,
    lengths::LENGTHS,
    lengths::TRACELAB_CSV,
    lengths::TRACELAB_ROUNDS,
    lengths::AGENTTRACE,
    requests::MLPERF,
    requests::SNAPSHOTS,
    requests::BODIES,
    requests::TEXT_INPUT,
    requests::SHAREGPT,
    requests::OTLP,
    record::JOURNAL,
];

/// Reads a file with the format that recognises it, if any does; returns how many calls it has.
fn calls(folder: &Folder, bytes: &[u8]) -> usize {
    let path = folder.write("f", bytes);
    let Some(format) = detect(&path).unwrap() else { return 0 };
    let recording = (format.read)(&path).unwrap();
    assert!(recording.sessions.iter().all(|session| !session.calls.is_empty()), "{}", format.name);
    recording.sessions.iter().map(|session| session.calls.len()).sum()
}

#[test]
fn a_file_truncated_at_any_byte_gives_no_more_calls() {
    let folder = Folder::new(&[]);
    for sample in SAMPLES {
        let whole = calls(&folder, sample.as_bytes());
        assert!(whole > 0);
        for end in 0..sample.len() {
            let some = calls(&folder, &sample.as_bytes()[..end]);
            assert!(some <= whole, "{some} calls of {whole} in {end} bytes of {sample}");
        }
    }
}

#[test]
fn mutated_files_are_read_or_refused() {
    let folder = Folder::new(&[]);
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) as usize) % below
    };
    let pieces: [&[u8]; 12] =
        [b"\"", b"{", b"}", b"[", b"]", b",", b":", b"-1", b"1e400", b"null", b"99999999999999999999", b"\xff"];
    for sample in SAMPLES {
        for _ in 0..60 {
            let mut bytes = sample.as_bytes().to_vec();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = next(256) as u8,
                    1 => drop(bytes.splice(at..(at + 1 + next(40)).min(bytes.len()), [])),
                    _ => drop(bytes.splice(at..at, pieces[next(pieces.len())].iter().copied())),
                }
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
            calls(&folder, &bytes);
        }
    }
}

#[test]
fn every_format_reads_any_other_without_a_panic() {
    let folder = Folder::new(&[]);
    for sample in SAMPLES {
        let path = folder.write("f", sample.as_bytes());
        for format in FORMATS {
            let recording = (format.read)(&path).unwrap();
            assert!(recording.sessions.iter().all(|session| !session.calls.is_empty()), "{}", format.name);
        }
    }
}
