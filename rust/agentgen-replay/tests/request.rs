//! Random data sets replayed without a server: the requests have the content of the trace, word for word.

use std::collections::HashSet;
use std::path::Path;

use agentgen_analysis::quality::Statistics;
use agentgen_core::Layout;
use agentgen_replay::predict::{Cached, Sent, predict};
use agentgen_replay::request::{
    Endpoint, History, MaxTokensField, Options, PromptMode, Reasoning, ReplaySession, Selection, Share, Source,
    describe,
};
use agentgen_testing::{Case, cases, run_options};
use agentgen_trace::{Cancel, TraceError};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn write(case: &Case, layout: Layout, directory: &Path) {
    case.write(layout, &run_options(directory), Statistics::default);
}

fn options(transcripts: &Path) -> Options {
    Options {
        endpoint: Endpoint::Chat,
        prompt_mode: PromptMode::Text,
        history: History::Recorded,
        salt: "a salt".to_owned(),
        words: None,
        model: "m".to_owned(),
        stream: true,
        request: Map::new(),
        max_tokens_field: MaxTokensField::Auto,
        is_linked: true,
        transcripts: Some(transcripts.to_owned()),
        trace_block_size: None,
        reasoning: Reasoning::Keep,
        selection: Selection::default(),
    }
}

const ALL: Share = Share { worker: 0, workers: 1 };

fn sessions(mut source: Source) -> Vec<ReplaySession> {
    std::iter::from_fn(|| source.next_session().expect("readable")).collect()
}

/// The tokens of a body for a server that counts words.
fn tokens(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let words = |text: &Value| -> Vec<String> {
        text.as_str().expect("text").split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match (&body["messages"], &body["prompt"]) {
        (Value::Array(messages), _) => messages.iter().flat_map(|message| words(&message["content"])).collect(),
        (_, Value::Array(ids)) => ids.iter().map(|id| id.as_u64().expect("an id").to_string()).collect(),
        (_, text) => words(text),
    }
}

/// A request that was sent.
struct Wire {
    sent: Sent,
    context_tokens: u64,
    tokens: Vec<String>,
    answer: Vec<String>,
}

/// Replays a trace, one session after the other; answers have `length(requested)` fresh words.
fn replay(source: Source, servers: u64, length: impl Fn(u64) -> u64) -> Vec<Wire> {
    let mut wire = Vec::new();
    let mut source = source;
    while let Some(mut session) = source.next_session().expect("readable") {
        for turn in 0..session.turns() {
            let request = session.request().expect("its history is there");
            let count = length(request.output_tokens);
            let number = session.number();
            let answer: Vec<_> = (0..count).map(|word| format!("a{number}t{turn}w{word}")).collect();
            session.answered(&answer.join(" "), "", &[], Some(count)).expect("an answer is waited for");
            let at = wire.len() as u64;
            let (turn, output_tokens) = (turn as u32, count);
            let server = (number % servers) as u32;
            let sent =
                Sent { session: number, turn, server, sent_ns: at * 2, ended_ns: Some(at * 2 + 1), output_tokens };
            wire.push(Wire { sent, context_tokens: request.context_tokens, tokens: tokens(&request.body), answer });
        }
        session.over().expect("the transcripts is writable");
    }
    wire
}

/// Cached tokens of servers that keep every prefix, found by comparing the tokens themselves.
fn cached_tokens(wire: &[Wire], block: usize, with_answers: bool) -> Vec<Option<u64>> {
    let mut prefixes: HashSet<(u32, Vec<&String>)> = HashSet::new();
    let mut found = Vec::new();
    for Wire { sent, tokens, answer, .. } in wire {
        let reusable = tokens.len().saturating_sub(1) / block;
        let hit = (1..=reusable)
            .take_while(|n| prefixes.contains(&(sent.server, tokens[..n * block].iter().collect::<Vec<_>>())));
        found.push(Some((hit.count() * block) as u64));
        let mut all: Vec<&String> = tokens.iter().collect();
        if with_answers && !answer.is_empty() {
            all.extend(&answer[..answer.len() - 1]);
        }
        prefixes.extend((1..=all.len() / block).map(|n| (sent.server, all[..n * block].to_vec())));
    }
    found
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Incremental), Just(Layout::Cumulative)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Lengths, prefixes and cached tokens, in both histories, at a block size that need not be the trace's. (Blocks of
    /// one token may be equal by chance.)
    #[test]
    fn requests_have_the_lengths_and_prefixes_of_the_trace(
        case in cases(), layout in layouts(), live in any::<bool>(), extra in 0..3u64, form in 0..3u8, block in 2..40u32,
        servers in 1..3u64,
    ) {
        // The comparison below covers every prefix of every prompt.
        prop_assume!(case.sessions <= 12 && case.config.max_prompt_tokens <= 3_000);
        let directory = tempfile::tempdir().expect("a directory");
        let run = directory.path().join("run");
        write(&case, layout, &run);
        let mut options = options(&directory.path().join("transcripts"));
        options.history = if live { History::Live } else { History::Recorded };
        let history = options.history;
        if form > 0 {
            options.endpoint = Endpoint::Completions;
        }
        if form > 1 && !live {
            options.prompt_mode = PromptMode::TokenIds;
        }
        let described = describe(&run, None, Selection::default(), &Cancel::default()).expect("readable");
        options.is_linked = described.is_linked;
        let source = Source::open(&run, options, ALL, &Cancel::default()).expect("opens");
        let wire = replay(source, servers, |requested| if live { requested + extra } else { requested });
        prop_assert_eq!(wire.len() as u64, described.totals.requests);
        for request in &wire {
            prop_assert_eq!(request.tokens.len() as u64, request.context_tokens);
        }
        if !live || extra == 0 {
            let longest = wire.iter().map(|request| request.context_tokens).max();
            prop_assert_eq!(longest, Some(described.totals.max_context_tokens));
            prop_assert_eq!(wire.iter().map(|request| request.context_tokens).sum::<u64>(), described.totals.context_tokens);
        }
        let cached = Cached { history, block_tokens: block, trace_block_size: None };
        let sent: Vec<_> = wire.iter().map(|request| request.sent).collect();
        let predicted = predict(&run, cached, &sent, &Cancel::default()).expect("readable");
        prop_assert_eq!(predicted, cached_tokens(&wire, block as usize, live));
    }

    /// Workers share a trace without overlap, and a restart session belongs to its parent's worker.
    #[test]
    fn workers_share_the_sessions(case in cases(), layout in layouts(), workers in 1..5u64) {
        let directory = tempfile::tempdir().expect("a directory");
        let run = directory.path().join("run");
        write(&case, layout, &run);
        let open = |share| sessions(Source::open(&run, options(&directory.path().join("transcripts")), share, &Cancel::default()).expect("opens"));
        let mut shared = Vec::new();
        for worker in 0..workers {
            let mine = open(Share { worker, workers });
            for parent in mine.iter().filter_map(ReplaySession::parent) {
                prop_assert!(mine.iter().any(|session| session.number() == parent));
            }
            shared.extend(mine.iter().map(ReplaySession::number));
        }
        shared.sort_unstable();
        let mut all: Vec<_> = open(ALL).iter().map(ReplaySession::number).collect();
        all.sort_unstable();
        prop_assert_eq!(shared, all);
    }
}

fn example(directory: &Path) {
    let (_, mut case) = agentgen_testing::modes().swap_remove(0);
    case.sessions = 6;
    write(&case, Layout::Incremental, &directory.join("run"));
}

/// The first body of the example, with other options.
fn first_body(directory: &Path, change: &dyn Fn(&mut Options)) -> Result<Value, TraceError> {
    let mut options = options(&directory.join("transcripts"));
    change(&mut options);
    let mut session =
        Source::open(&directory.join("run"), options, ALL, &Cancel::default())?.next_session()?.expect("a session");
    let request = session.request().expect("no history is needed");
    Ok(serde_json::from_slice(&request.body).expect("JSON"))
}

/// Prompts with another salt share nothing, with the same salt everything.
#[test]
fn prompts_of_another_salt_share_no_prefix() {
    let directory = tempfile::tempdir().expect("a directory");
    example(directory.path());
    let prompt = |salt: &str| {
        let body = first_body(directory.path(), &|options| salt.clone_into(&mut options.salt)).expect("opens");
        tokens(body.to_string().as_bytes())
    };
    let (first, other) = (prompt("one"), prompt("another"));
    assert_eq!(first, prompt("one"));
    let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!(same * 100 < first.len(), "{same} of {} words", first.len());
    assert!(first.iter().zip(&other).take_while(|(a, b)| a == b).count() < 5);
}

#[test]
fn given_words_are_used_and_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    example(directory.path());
    let words: Vec<_> = (0..64).map(|n| format!("w{n}")).collect();
    let with = |words: &[String]| {
        let words = words.to_vec();
        first_body(directory.path(), &move |options| options.words = Some(words.clone()))
    };
    let used = tokens(with(&words).expect("opens").to_string().as_bytes());
    assert!(used.iter().all(|word| words.contains(word)));
    for bad in [&words[..63], &[&words[..], &["a b".to_owned()]].concat(), &[&words[..], &["\"".to_owned()]].concat()] {
        let refused = with(bad).expect_err("refused").to_string();
        assert!(refused.contains("expected at least 64 words of ASCII letters and digits"), "{refused}");
    }
}

/// Given members are in every body; those that the replay sets cannot be given.
#[test]
fn request_fields() {
    let directory = tempfile::tempdir().expect("a directory");
    example(directory.path());
    let body = |change: &dyn Fn(&mut Options)| first_body(directory.path(), change);
    let with = |name: &'static str, value: Value| {
        body(&move |options| drop(options.request.insert(name.to_owned(), value.clone())))
    };
    let plain = body(&|_| ()).expect("opens");
    assert_eq!(plain["model"], "m");
    assert_eq!(plain["stream_options"]["include_usage"], true);
    assert_eq!(with("stream_options", Value::Null).expect("opens").get("stream_options"), None);
    assert_eq!(with("ignore_eos", true.into()).expect("opens")["ignore_eos"], true);
    assert_eq!(body(&|options| options.stream = false).expect("opens").get("stream_options"), None);
    for name in ["messages", "prompt", "stream"] {
        let refused = with(name, Value::Null).expect_err("refused").to_string();
        assert!(refused.contains(&format!("found {name}, expected no field that the replay sets itself")), "{refused}");
    }
    let other = |endpoint: Endpoint| body(&move |options| options.endpoint = endpoint).expect("opens");
    let (responses, messages) = (other(Endpoint::Responses), other(Endpoint::Messages));
    assert_eq!((&responses["input"], &messages["messages"]), (&plain["messages"], &plain["messages"]));
    assert_eq!(responses["max_output_tokens"], messages["max_tokens"]);
    for (found, expected) in
        [(responses, "input max_output_tokens model stream"), (messages, "max_tokens messages model stream")]
    {
        let mut names: Vec<_> = found.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        assert_eq!(names.join(" "), expected);
    }
    let refused = body(&|options| options.prompt_mode = PromptMode::TokenIds).expect_err("refused").to_string();
    assert!(refused.contains("expected the completions endpoint: messages are text"), "{refused}");
}

/// One limit is sent by default, under a name that no given field excludes; a given number replaces only what it names.
#[test]
fn the_limit_of_an_answer() {
    use MaxTokensField::{Auto, Both, MaxCompletionTokens, MaxTokens};
    let directory = tempfile::tempdir().expect("a directory");
    example(directory.path());
    let limits = |endpoint: Endpoint, field: MaxTokensField, request: Value| {
        let change = move |options: &mut Options| {
            (options.endpoint, options.max_tokens_field) = (endpoint, field);
            options.request.extend(request.as_object().expect("fields").clone());
        };
        let body = first_body(directory.path(), &change).expect("opens");
        ["max_completion_tokens", "max_tokens"]
            .map(|name| body.get(name).map(|value| value.as_u64().expect("a number")))
    };
    let chat = |field, request| limits(Endpoint::Chat, field, request);
    let [planned, _] = chat(Auto, json!({}));
    assert!(planned.is_some());
    assert_eq!(chat(Auto, json!({})), [planned, None]);
    assert_eq!(limits(Endpoint::Completions, Auto, json!({})), [None, planned]);
    assert_eq!(chat(MaxTokens, json!({})), [None, planned]);
    assert_eq!(chat(MaxCompletionTokens, json!({})), [planned, None]);
    assert_eq!(chat(Both, json!({})), [planned, planned]);
    assert_eq!(chat(MaxTokensField::None, json!({})), [None, None]);
    assert_eq!(chat(Auto, json!({"max_completion_tokens": null})), [None, planned]);
    assert_eq!(chat(Auto, json!({"max_completion_tokens": null, "max_tokens": null})), [None, None]);
    assert_eq!(chat(Auto, json!({"max_tokens": 7})), [None, Some(7)]);
    assert_eq!(chat(MaxCompletionTokens, json!({"max_tokens": 7})), [planned, Some(7)]);
    assert_eq!(chat(Both, json!({"max_tokens": 7})), [planned, Some(7)]);
    assert_eq!(chat(Both, json!({"max_tokens": null})), [planned, None]);
}

/// A restart session whose parent failed fails with an error, rather than send something else.
#[test]
fn a_restart_session_of_a_failed_session_fails() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut modes = agentgen_testing::modes().into_iter();
    let (_, mut case) = modes.find(|(name, _)| name.contains("restart")).expect("a mode with restarts");
    case.sessions = 40;
    let run = directory.path().join("run");
    write(&case, Layout::Incremental, &run);
    let options = options(&directory.path().join("transcripts"));
    let mut refused = 0;
    for mut session in sessions(Source::open(&run, options, ALL, &Cancel::default()).expect("opens")) {
        let request = session.request();
        if session.parent().is_some() {
            let problem = request.expect_err("refused").to_string();
            let expected = format!("session {}, turn 0: continues a session that failed", session.key());
            assert!(problem.starts_with(&expected), "{problem}");
            refused += 1;
        }
        // As after a failure: the session ends without an answer.
        session.over().expect("nothing to write");
    }
    assert!(refused > 0);
}
