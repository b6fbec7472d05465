//! Every reader against logs that are cut, repeated, shuffled or damaged: it gives the calls that are left, and never panics.

use std::collections::BTreeSet;
use std::path::Path;

use agentgen_formats::import::Recording;
use agentgen_formats::import::formats::{self, Format};

use crate::samples::SAMPLES;
use crate::support::Folder;

/// Mutated inputs for each sample.
const MUTATIONS: u64 = 400;

/// A random stream for mutations.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn read(format: &Format, path: &Path) -> Recording {
    agentgen_formats::import::merge((format.read)(path).unwrap())
}

/// What identifies a call whatever surrounds it: id, model and tokens.
fn calls(recording: &Recording) -> BTreeSet<String> {
    let calls = recording.sessions.iter().flat_map(|s| &s.calls);
    calls.map(|call| format!("{:?} {:?}", call.id, call.usage.output_tokens)).collect()
}

fn each(mut check: impl FnMut(&str, &'static Format, &Folder, &str, &BTreeSet<String>)) {
    for (name, format, text) in SAMPLES {
        let format = formats::named(format).unwrap();
        let folder = Folder::new(&[(name, text.as_bytes())]);
        let found = read(format, &folder.path(name));
        assert_eq!(found.problems, [], "{name}");
        let whole = calls(&found);
        assert!(whole.len() >= 2, "{name}: {whole:?}");
        check(name, format, &folder, text, &whole);
    }
}

#[test]
fn samples_are_recognised() {
    for (name, format, text) in SAMPLES {
        let folder = Folder::new(&[("any", text.as_bytes())]);
        let found = formats::detect(&folder.path("any")).unwrap().map(|f| f.name);
        assert_eq!(found, Some(*format), "{name}");
    }
    for text in ["", "{}\n", "[]", "{\"role\":\"user\"}"] {
        let folder = Folder::new(&[("any", text.as_bytes())]);
        assert!(formats::detect(&folder.path("any")).unwrap().is_none(), "{text}");
    }
}

#[test]
fn a_log_cut_anywhere_has_its_calls_up_to_there() {
    each(|name, format, folder, text, whole| {
        let is_lines = !name.ends_with("json");
        let mut most = 0;
        for end in 0..text.len() {
            let path = folder.write(name, &text.as_bytes()[..end]);
            let found = read(format, &path);
            let ids: BTreeSet<_> = calls(&found).iter().map(|c| c.split(' ').next().unwrap().to_owned()).collect();
            let all: BTreeSet<_> = whole.iter().map(|c| c.split(' ').next().unwrap().to_owned()).collect();
            assert!(ids.is_subset(&all), "{name} cut at {end}: {ids:?}");
            assert!(!is_lines || found.problems.is_empty(), "{name} cut at {end}: {:?}", found.problems);
            most = most.max(ids.len());
        }
        assert!(!is_lines || most > 0, "{name}");
    });
}

#[test]
fn repeated_rows_change_no_call() {
    each(|name, format, folder, text, whole| {
        // Messages of a transcript have no id: a repeated one is another one.
        if name.ends_with("jsonl") && format.name != "hermes" {
            let lines: Vec<&str> = text.lines().collect();
            let twice: String = lines.iter().flat_map(|line| [line, "\n", line, "\n"]).collect();
            let found = calls(&read(format, &folder.write(name, twice.as_bytes())));
            assert_eq!(found, *whole, "{name}");
        }
    });
}

#[test]
fn shuffled_rows_give_no_other_calls() {
    let mut random = Random(1);
    each(|name, format, folder, text, whole| {
        if name.ends_with("jsonl") {
            let mut lines: Vec<&str> = text.lines().collect();
            for _ in 0..50 {
                for i in (1..lines.len()).rev() {
                    lines.swap(i, random.below(i + 1));
                }
                let found = calls(&read(format, &folder.write(name, lines.join("\n").as_bytes())));
                if format.name == "claude-code" {
                    assert_eq!(found, *whole, "{name}");
                }
                assert!(found.len() <= whole.len(), "{name}: {found:?}");
            }
        }
    });
}

#[test]
fn damaged_logs_do_not_panic() {
    let mut random = Random(2);
    let pieces: [&[u8]; 12] = [
        b"\n",
        b"null",
        b"{}",
        b"[]",
        b"-1",
        b"1e999",
        b"\"\\ud800\"",
        b"\xff",
        b"\"",
        b"}",
        b"9007199254740993",
        b"true",
    ];
    each(|name, format, folder, text, _| {
        for _ in 0..MUTATIONS {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                let end = (at + random.below(40)).min(bytes.len());
                match random.below(4) {
                    0 => bytes[at] = random.below(256) as u8,
                    1 => drop(bytes.drain(at..end)),
                    2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
                    _ => {
                        // A whole value, so that the rest of the line stays JSON.
                        let start = bytes[at..].iter().position(|b| *b == b':').map_or(at, |colon| at + colon + 1);
                        let rest = bytes[start..].iter().position(|b| matches!(b, b',' | b'}'));
                        let end = rest.map_or(start, |length| start + length);
                        drop(bytes.splice(start..end, pieces[random.below(pieces.len())].to_vec()));
                    }
                }
            }
            let path = folder.write(name, &bytes);
            let found = read(format, &path);
            let _ = formats::detect(&path).unwrap();
            assert!(found.sessions.iter().all(|session| !session.calls.is_empty()), "{name}");
        }
    });
}

/// Files of a folder, at any depth.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn shared_samples_are_recognised() {
    let root = agentgen_testing::files::shared("rollouts/ORIGIN.md").parent().unwrap().to_owned();
    for (folder, expected) in
        [("claude", "claude-code"), ("codex", "codex"), ("pi", "pi"), ("atif", "atif"), ("agenttrace", "agenttrace")]
    {
        for path in files(&root.join(folder)).iter().filter(|path| !path.to_str().unwrap().ends_with(".meta.json")) {
            let found = formats::detect(path).unwrap().map(|format| format.name);
            assert_eq!(found, Some(expected), "{}", path.display());
        }
    }
    for (name, expected) in [
        ("miniswe_github_issue.traj.json", "mini-swe-agent"),
        ("miniswe_local.traj.json", "mini-swe-agent"),
        ("nebius_swe_agent_sample_raw.json", "swe-agent"),
    ] {
        let found = formats::detect(&root.join("other").join(name)).unwrap().map(|format| format.name);
        assert_eq!(found, Some(expected), "{name}");
    }
}
