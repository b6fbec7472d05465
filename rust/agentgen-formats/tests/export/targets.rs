//! Files of single formats, and what the result says of them.

use std::io::Read as _;

use agentgen_formats::export::{ExportOptions, FORMATS, Part, Target, export};
use agentgen_testing::Case;
use agentgen_testing::linked::{Parameters, config};
use agentgen_trace::{Cancel, Layout};
use serde_json::Value;

use super::support::{Run, all_sessions, json_lines, options};

/// A run with all links, whose exports are small.
fn linked() -> Run {
    let parameters = Parameters {
        limit: 400,
        block_size: 8,
        breaks: 0.2,
        spawns: 0.3,
        restarts: 1.0,
        most_breaks: 3,
        most_agents: 4,
        without: 0,
        seed: 3,
    };
    Run::new(&Case { config: config(&parameters), seed: 3, sessions: 12 }, Layout::Incremental)
}

#[test]
fn the_result_counts_what_is_lost_and_strict_refuses_it() {
    let run = linked();
    let of = |format: &str| run.export(format, &format!("{format}.out"), None);
    let lost = |format: &str| of(format).losses.into_iter().map(|loss| loss.part).collect::<Vec<_>>();
    let csv = of("csv");
    assert_eq!(csv.losses.len(), 1);
    assert_eq!((csv.losses[0].part, csv.losses[0].count), (Part::Blocks, csv.requests));
    assert!(lost("mooncake").contains(&Part::SubAgents));
    assert!(!lost("agentic_mooncake").contains(&Part::SubAgents));
    let sessions = all_sessions(&run.source());
    let breaks = of("mooncake").losses.iter().find(|loss| loss.part == Part::Breaks).unwrap().count;
    let expected = sessions.iter().filter(|s| matches!(s.link, agentgen_trace::session::Link::Break { .. })).count();
    assert_eq!(breaks, expected as u64);
    let path = run.path("strict.csv");
    let strict = ExportOptions { strict: true, ..options("csv", &path) };
    let error = export(&run.source(), &strict, &Cancel::default()).unwrap_err().to_string();
    assert!(error.contains("blocks") && error.contains("--strict"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_suffix_compresses_and_threads_change_nothing() {
    let run = linked();
    for format in ["mooncake", "mooncake-delta", "sharegpt"] {
        run.export(format, "plain.json", None);
        let plain = std::fs::read(run.path("plain.json")).unwrap();
        run.export(format, "x.json.gz", None);
        let mut text = Vec::new();
        let file = std::fs::File::open(run.path("x.json.gz")).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain, "{format}");
        run.export(format, "x.json.zst", None);
        assert_eq!(zstd::decode_all(std::fs::File::open(run.path("x.json.zst")).unwrap()).unwrap(), plain, "{format}");
        let path = run.path("one.json");
        let one = ExportOptions { threads: 1, ..options(format, &path) };
        export(&run.source(), &one, &Cancel::default()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), plain, "{format}");
    }
}

#[test]
fn every_format_is_written_and_nothing_is_left_beside_it() {
    let run = linked();
    for format in FORMATS {
        let name = format!("out-{}", format.name);
        let result = run.export(format.name, &name, None);
        assert_eq!(result.requests, all_sessions(&run.source()).iter().map(|s| s.turns.len() as u64).sum::<u64>());
        assert!(run.path(&name).exists(), "{name}");
    }
    let hidden = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert!(run.folder.path().read_dir().unwrap().all(|entry| !hidden(&entry.unwrap())));
}

#[test]
fn conversations_alternate_and_have_as_many_words_as_tokens() {
    let run = linked();
    run.export("vllm-multi-turn", "v.json", None);
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(run.path("v.json")).unwrap()).unwrap();
    let sessions = all_sessions(&run.source());
    assert_eq!(list.len(), sessions.len());
    for (conversation, session) in list.iter().zip(&sessions) {
        let messages = conversation["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2 * session.turns.len());
        for (at, message) in messages.iter().enumerate() {
            let turn = session.turns[at / 2];
            let words = message["content"].as_str().unwrap().split_whitespace().count();
            let (role, tokens) = match (at % 2, at) {
                (0, 0) => ("user", turn.context_tokens),
                (0, _) => ("user", turn.input_tokens),
                _ => ("assistant", turn.output_tokens),
            };
            assert_eq!((message["role"].as_str().unwrap(), words), (role, tokens as usize));
        }
    }
}

#[test]
fn whole_prompts_share_words_as_their_blocks_are_shared() {
    let run = linked();
    let text = run.rows("custom", None);
    let ids = run.rows("timed_trace", Some(1));
    assert_eq!(text.len(), ids.len());
    let words: Vec<Vec<&str>> =
        text.iter().map(|row| row["prompt"].as_str().unwrap().split_whitespace().collect()).collect();
    let ids: Vec<Vec<i64>> = ids.iter().map(super::support::ids).collect();
    let common = |a: usize, b: usize| {
        let same = |words: usize, ids: usize| (words, ids);
        let words = words[a].iter().zip(&words[b]).take_while(|(a, b)| a == b).count();
        same(words, ids[a].iter().zip(&ids[b]).take_while(|(a, b)| a == b).count())
    };
    for b in 1..words.len().min(60) {
        for a in 0..b {
            let (words, ids) = common(a, b);
            // Words differ from each other with a small probability, in which more of them are the same.
            assert!(words >= ids && words <= ids + 2, "prompts {a} and {b}: {words} words, {ids} ids");
        }
    }
}

#[test]
fn the_requests_of_a_chat_point_to_the_one_before() {
    let run = linked();
    let rows = run.rows("bailian", None);
    let mut times = std::collections::HashMap::new();
    for row in &rows {
        let (chat, parent, time) = (&row["chat_id"], &row["parent_chat_id"], row["timestamp"].as_f64().unwrap());
        times.insert(chat.as_i64().unwrap(), (time, row["turn"].as_u64().unwrap()));
        if let Some((before, turn)) = parent.as_i64().filter(|parent| *parent >= 0).map(|parent| times[&parent]) {
            assert!(before <= time && row["turn"].as_u64() == Some(turn + 1));
        } else {
            assert_eq!(row["turn"].as_u64(), Some(1));
        }
    }
    assert_eq!(times.len(), rows.len());
}

#[test]
fn a_dag_starts_every_conversation_once() {
    let run = linked();
    let rows = run.rows("dag_jsonl", None);
    let mut started = std::collections::HashSet::new();
    for row in &rows {
        let turns = row["turns"].as_array().unwrap();
        for (at, turn) in turns.iter().enumerate() {
            for spawn in turn["spawns"].as_array().into_iter().flatten() {
                let child = spawn.as_str().or(spawn["children"][0].as_str()).unwrap();
                assert!(started.insert(child.to_owned()), "{child} twice");
                if let Some(join) = spawn["join_at"].as_u64() {
                    assert!((at as u64) < join && join < turns.len() as u64);
                }
            }
        }
    }
    let is_member = |s: &&agentgen_trace::session::Session| s.link.parent().is_some() && !s.link.is_restart();
    assert_eq!(started.len(), all_sessions(&run.source()).iter().filter(is_member).count());
}

#[test]
fn messages_of_mlperf_keep_triggers_and_delays() {
    let run = linked();
    for (format, count) in [("mlperf", 2), ("mlperf-snapshots", 1)] {
        run.export(format, "m.jsonl", None);
        let rows = json_lines(&run.path("m.jsonl"));
        let turns: usize = all_sessions(&run.source()).iter().map(|s| s.turns.len()).sum();
        assert_eq!(rows.len(), count * turns, "{format}");
    }
    let again = run.again("mlperf", "again.jsonl", None);
    let delays = |source| -> Vec<Vec<u64>> {
        let of = |session: &agentgen_trace::session::Session| {
            session.turns.iter().skip(1).map(|turn| turn.delay_ms.unwrap_or(0.0).round() as u64).collect()
        };
        all_sessions(source).iter().map(of).collect()
    };
    assert_eq!(delays(&again), delays(&run.source()));
}

#[test]
fn standard_output_takes_no_directory() {
    let run = linked();
    let to_stdout = ExportOptions { target: Target::Stdout, ..options("weka", &run.path("unused")) };
    let error = export(&run.source(), &to_stdout, &Cancel::default()).unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
}
