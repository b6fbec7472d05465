//! Random data sets, written to run directories: all files are valid, and the statistics are those of the rows.

use std::path::Path;

use agentgen_analysis::quality::{Statistics, merge_runs};
use agentgen_analysis::validate::{Options, validate};
use agentgen_core::config::Config;
use agentgen_testing::{Case, cases, run_options};
use agentgen_trace::manifest::{FILE_NAME, Manifest, Shard};
use agentgen_trace::run::{JSONL, PARQUET, RunOptions};
use agentgen_trace::{Cancel, Layout};
use proptest::prelude::*;

fn write(case: &Case, layout: Layout, directory: &Path, shard: Shard) -> Manifest {
    case.write(layout, &RunOptions { parquet: true, shard, ..run_options(directory) }, Statistics::default)
}

const WHOLE: Shard = Shard { index: 0, count: 1 };

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Incremental), Just(Layout::Cumulative)]
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a text file")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn everything_that_is_written_is_valid(case in cases(), layout in layouts()) {
        let directory = tempfile::tempdir().expect("a directory");
        let manifest = write(&case, layout, directory.path(), WHOLE);
        for name in [JSONL, PARQUET] {
            let path = directory.path().join(name);
            let report = validate(&[path], &Options::default(), &Cancel::default(), &mut |_, _| ()).expect("readable");
            prop_assert!(report.ok && report.warnings == 0, "{name}: {:?}", report.findings);
            prop_assert_eq!((report.rows, report.sessions), (manifest.written.turns, manifest.written.sessions));
        }
    }

    #[test]
    fn merged_shards_have_the_statistics_of_the_whole(case in cases(), layout in layouts(), count in 2..6u64) {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let whole = write(&case, layout, &at("whole"), WHOLE);
        let runs: Vec<_> = (0..count).map(|index| at(&format!("shard-{index}"))).collect();
        for (index, run) in (0..count).zip(&runs) {
            write(&case, layout, run, Shard { index, count });
        }
        let merged = merge_runs(&runs, &at("set"), "2026-01-01T00:00:00Z", 2, &Cancel::default()).expect("belongs together");
        prop_assert_eq!(merged.written, whole.written);
        for name in ["quality.json", "comparison.txt"] {
            prop_assert_eq!(text(&at("set").join(name)), text(&at("whole").join(name)));
        }
        let lines: String = runs.iter().map(|run| text(&run.join(JSONL))).collect();
        prop_assert!(lines == text(&at("whole").join(JSONL)), "shards concatenated are the whole file");
        let report = validate(&[at("set")], &Options::default(), &Cancel::default(), &mut |_, _| ()).expect("readable");
        prop_assert!(report.ok && report.warnings == 0, "{:?}", report.findings);
    }
}

#[test]
fn merging_refuses_shards_of_different_data_sets() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let (_, mut case) = agentgen_testing::modes().swap_remove(0);
    case.sessions = 4;
    for index in 0..2 {
        write(&case, Layout::Incremental, &at(&format!("{index}")), Shard { index, count: 2 });
    }
    case.seed += 1;
    write(&case, Layout::Incremental, &at("seed"), Shard { index: 1, count: 2 });
    write(&case, Layout::Incremental, &at("of-3"), Shard { index: 1, count: 3 });
    write(&case, Layout::Incremental, &at("whole"), WHOLE);
    let overridden = text(&at("1").join(FILE_NAME)).replace(r#""max_isl": null"#, r#""max_isl": 9999"#);
    std::fs::create_dir(at("limit")).expect("writable");
    std::fs::write(at("limit").join(FILE_NAME), overridden).expect("writable");
    let merge = |names: &[&str]| {
        let runs: Vec<_> = names.iter().map(|name| at(name)).collect();
        merge_runs(&runs, &at("set"), "", 1, &Cancel::default()).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(merge(&["1", "0"]), Ok(()));
    for (names, expected) in [
        (&["0"][..], "the last shard given, but not shard 1 of 2"),
        (&["1"], "shard 1 of 2, but not shard 0"),
        (&["0", "0"], "found shard 0 of 2 a second time"),
        (&["0", "seed"], "another seed"),
        (&["0", "of-3"], "found shard 1 of 3, expected one of 2 shards"),
        (&["0", "limit"], "another limit of prompts or outputs (max_isl, max_osl)"),
        (&["whole"], "found a whole data set, expected one of its shards"),
        (&[], "found no shards"),
    ] {
        let message = merge(names).expect_err("refused");
        assert!(message.contains(expected), "{message}");
    }
    let data = at("0").join(JSONL);
    let changed = text(&data).replacen(":1", ":2", 1);
    std::fs::write(&data, changed).expect("writable");
    assert!(
        merge(&["0", "1"])
            .is_err_and(|m| m.contains("another size or SHA-256 of dataset.jsonl than its manifest states"))
    );
}

#[test]
fn files_that_are_not_as_their_manifest_says_are_findings() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, mut case) = agentgen_testing::modes().swap_remove(0);
    case.sessions = 4;
    write(&case, Layout::Incremental, directory.path(), WHOLE);
    let check = |path: &Path| {
        validate(&[path.to_owned()], &Options::default(), &Cancel::default(), &mut |_, _| ()).expect("readable")
    };
    // Rows are read from the Parquet file: changes of JSONL and statistics show in digests only.
    for name in [JSONL, "quality.json"] {
        let path = directory.path().join(name);
        let sound = std::fs::read(&path).expect("readable");
        let cut = sound[..sound.len() - 1].to_vec();
        for (spoilt, found) in [(cut.clone(), "bytes"), ([&cut, &b" "[..]].concat(), "SHA-256")] {
            std::fs::write(&path, spoilt).expect("writable");
            let report = check(directory.path());
            assert_eq!((report.errors, report.findings[0].rule), (1, "digest"), "{:?}", report.findings);
            assert!(report.findings[0].found.contains(found), "{:?}", report.findings);
        }
        std::fs::remove_file(&path).expect("removable");
        assert!(check(directory.path()).findings[0].found.contains("no such file"));
        std::fs::write(&path, sound).expect("writable");
        assert!(check(directory.path()).ok);
    }
    // Of a single file only the size is checked: here whole rows are missing.
    let path = directory.path().join(JSONL);
    let lines = text(&path);
    std::fs::write(&path, &lines[..=lines[..lines.len() - 1].rfind("\n{").expect("rows")]).expect("writable");
    assert!(check(&path).findings.iter().any(|f| f.rule == "digest"));
}

/// With one-token blocks and empty outputs a continuation may hold fewer blocks than its parent left; the blocks of both
/// expire once.
#[test]
fn a_continuation_may_be_the_beginning_of_its_parent() {
    let config = Config::from_json(
        r#"{
            "max_prompt_tokens": 4, "block_size": 1,
            "cache": {"layer1_tokens": 0, "layer1_5_tokens": 0, "layer2": {"mean": 1, "median": 1},
                      "layer1_5_groups": {"num_groups": 1, "zipf_alpha": 0}},
            "new_tokens_per_turn": {"mean": 1, "median": 1},
            "generation_length": {"mean": 2, "median": 1, "min": 0},
            "inter_turn_delay": {"agentic_fraction": 0, "agentic_delay": {"mean": 600, "median": 600},
                                 "human_delay": {"mean": 12000, "median": 12000}},
            "reset": {"base_probability": 0, "context_scaling": 1},
            "restart_initial_probability": 1, "restart_turn_range": [1, 2], "arrival": "closed", "calibrate": false
        }"#,
    )
    .expect("a valid configuration");
    let directory = tempfile::tempdir().expect("a directory");
    for seed in 0..40 {
        let case = Case { config: config.clone(), seed, sessions: 20 };
        let manifest = write(&case, Layout::Incremental, &directory.path().join(seed.to_string()), WHOLE);
        assert!(manifest.written.continuations > 0, "{seed}");
    }
}
