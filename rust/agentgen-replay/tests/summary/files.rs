//! Record files and the table of requests.

use std::io::Write as _;

use agentgen_replay::records::{Outcome, Record, Recorder, read};
use agentgen_replay::summary::{Options, RECORDS, REQUESTS, Run, summarize, write_requests};

use crate::{request, session, write};

/// Flushed records can be read; one that SIGKILL truncated is counted.
#[test]
fn a_truncated_record_is_skipped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, vec![request(0, 0, 0)], vec![session(0, 1, 0, 31)]);
    let path = directory.path().join(RECORDS).join("worker-0.jsonl");
    let whole = std::fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap();
    for cut in [last + 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let run = Run::read(directory.path()).unwrap();
        assert_eq!((run.requests.len(), run.sessions.len()), (1, 0), "{cut}");
        let summary = summarize(&run, None, &Options::default());
        assert_eq!((summary.incomplete, summary.records.truncated), (true, 1));
        assert!(summary.errors[0].contains("request counts"));
    }
}

#[test]
fn a_damaged_record_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, vec![request(0, 0, 0)], vec![session(0, 1, 0, 31)]);
    let path = directory.path().join(RECORDS).join("worker-0.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"request\": 5}\n").unwrap();
    let summary = summarize(&Run::read(directory.path()).unwrap(), None, &Options::default());
    assert_eq!(summary.errors, ["records: found 1 damaged line, expected none"]);
}

#[test]
fn a_directory_without_records_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let error = Run::read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("found no records, expected a run directory that agentgen replay wrote"), "{error}");
    std::fs::create_dir(directory.path().join(RECORDS)).unwrap();
    let error = Run::read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("found no files in records, expected a run directory"), "{error}");
}

/// Records are written after half a second by their stamps, or at 64 KiB.
#[test]
fn records_are_flushed_by_time_and_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let mut recorder = Recorder::create(&path, 3).unwrap();
    let count = || {
        let mut count = 0;
        read::<std::io::Error>(&path, |record| {
            count += u32::from(matches!(record, Record::Request(_)));
            Ok(())
        })
        .unwrap();
        count
    };
    recorder.request(request(0, 0, 1_000)).unwrap();
    assert_eq!(count(), 1);
    recorder.request(request(0, 1, 1_400)).unwrap();
    assert_eq!(count(), 1);
    recorder.request(request(0, 2, 1_600)).unwrap();
    assert_eq!(count(), 3);
    for turn in 3..1_000 {
        recorder.request(request(0, turn, 1_601)).unwrap();
    }
    assert!(count() > 500);
    recorder.loop_lag(77);
    drop(recorder);
    assert_eq!(count(), 1_000);
    assert!(Recorder::create(&path, 3).is_err(), "nobody else's file is written to");
}

/// A record does not grow with its turn.
#[test]
fn the_size_of_a_record_does_not_depend_on_its_turn() {
    let size = |turn: u32| serde_json::to_string(&request(0, turn, 40 * i64::from(turn))).unwrap().len();
    assert!(size(1_000).abs_diff(size(10)) < 100);
}

#[test]
fn outcomes_are_read_by_name() {
    for outcome in ["ok", "http_error", "timeout_first_token", "worker_lost", "stream_truncated", "history"] {
        assert_eq!(serde_json::from_value::<Outcome>(outcome.into()).unwrap().name(), outcome);
    }
    assert!(serde_json::from_value::<Outcome>("lost".into()).unwrap_err().to_string().contains("expected one of"));
}

#[test]
fn the_table_is_complete_or_absent() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, vec![request(0, 0, 0)], vec![session(0, 1, 0, 31)]);
    let run = Run::read(directory.path()).unwrap();
    write_requests(&run, Some(&[Some(7)]), directory.path()).unwrap();
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(std::fs::read(directory.path().join(REQUESTS)).unwrap().ends_with(b"PAR1"));
}
