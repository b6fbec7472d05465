//! Figures of hand-written records.
#![allow(clippy::unwrap_used)]

mod comparing;
mod figures;
mod files;
mod windows;

use std::path::Path;

use agentgen_replay::durations::Durations;
use agentgen_replay::records::{Measured, Outcome, Phase, Recorder, Request, Session};
use agentgen_replay::summary::{Options, RECORDS, Run, Summary, summarize};

const MS: i64 = 1_000_000;

/// A request of session `session` sent at its scheduled time: first token after 10 ms, then 4 more 5 ms apart.
fn request(session: u64, turn: u32, sent_ms: i64) -> Request {
    let sent = sent_ms * MS;
    let mut gaps = Durations::default();
    (0..4).for_each(|_| gaps.add(5 * MS as u64));
    Request {
        session,
        key: format!("s{session}"),
        turn,
        phase: Phase::Run,
        url: 0,
        scheduled_ns: sent,
        intended_ns: sent,
        sent_ns: Some(sent),
        context_tokens: 100,
        input_tokens: 60,
        output_tokens: 5,
        outcome: Outcome::Ok,
        status: 200,
        retries: 0,
        message: String::new(),
        answer: Some(Measured {
            first_byte_ns: Some(sent + 9 * MS),
            first_token_ns: Some(sent + 10 * MS),
            first_answer_ns: Some(sent + 15 * MS),
            last_token_ns: Some(sent + 30 * MS),
            last_byte_ns: Some(sent + 31 * MS),
            reads: 7,
            events: 7,
            output_events: 5,
            prompt_tokens: Some(100),
            completion_tokens: Some(5),
            cached_tokens: Some(40),
            finish_reason: Some("stop".to_owned()),
            gaps,
            ..Measured::default()
        }),
    }
}

fn failed(session: u64, turn: u32, sent_ms: i64, outcome: Outcome) -> Request {
    Request { outcome, answer: None, status: 0, message: "no".to_owned(), ..request(session, turn, sent_ms) }
}

fn session(session: u64, planned: u32, opened_ms: i64, closed_ms: i64) -> Session {
    Session {
        session,
        key: format!("s{session}"),
        phase: Phase::Run,
        planned,
        opened_ns: opened_ms * MS,
        closed_ns: closed_ms * MS,
        skipped: 0,
        cancelled: 0,
        never_issued: 0,
    }
}

/// A run directory with one record file.
fn write(directory: &Path, worker: u32, requests: Vec<Request>, sessions: Vec<Session>) {
    let folder = directory.join(RECORDS);
    std::fs::create_dir_all(&folder).unwrap();
    let mut recorder = Recorder::create(&folder.join(format!("worker-{worker}.jsonl")), worker).unwrap();
    for request in requests {
        recorder.request(request).unwrap();
    }
    for session in sessions {
        recorder.session(session).unwrap();
    }
    recorder.flush().unwrap();
}

fn run(requests: Vec<Request>, sessions: Vec<Session>) -> Run {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, requests, sessions);
    Run::read(directory.path()).unwrap()
}

fn summary(requests: Vec<Request>, sessions: Vec<Session>) -> Summary {
    summarize(&run(requests, sessions), None, &Options::default())
}
