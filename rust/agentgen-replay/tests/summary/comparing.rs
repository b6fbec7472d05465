//! Comparison of runs.

use std::path::PathBuf;

use agentgen_replay::summary::compare::{Comparison, Group, Options, Unit, Value, compare};

use crate::{MS, request, session, write};

/// A run of 20 sessions of two requests; first tokens of session n arrive after `scale * (10 + n)` ms.
fn directory(scale: i64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut requests = Vec::new();
    for n in 0..20 {
        for turn in 0..2 {
            let mut request = request(n, turn, 100 * (2 * i64::try_from(n).unwrap() + i64::from(turn)));
            request.answer.as_mut().unwrap().first_token_ns =
                request.sent_ns.map(|sent| sent + scale * (10 + i64::try_from(n).unwrap()) * MS);
            requests.push(request);
        }
    }
    write(directory.path(), 0, requests, (0..20).map(|n| session(n, 2, 0, 1)).collect());
    directory
}

fn figure(comparison: &Comparison, name: &str) -> Vec<Value> {
    let row = comparison.figures.iter().find(|row| row.name == name).unwrap();
    row.values.iter().map(|value| value.clone().unwrap()).collect()
}

#[test]
fn a_single_run_resamples_its_sessions() {
    let (one, two) = (directory(1), directory(2));
    let directories: Vec<PathBuf> = [&one, &two].map(|of| of.path().to_owned()).to_vec();
    let compared = compare(&directories, &Options::default()).unwrap();
    assert!(compared.groups.iter().all(|group| group.resampled == Unit::Sessions));
    assert_eq!((compared.groups[0].sessions, compared.groups[0].succeeded), (20, 40));
    let ttft = figure(&compared, "ttft_p50_ms");
    assert_eq!((ttft[0].value, ttft[1].value, ttft[1].ratio), (19.0, 38.0, Some(2.0)));
    let (low, high) = ttft[0].interval.unwrap();
    assert!((13.0..19.0).contains(&low) && (20.0..26.0).contains(&high), "{low} {high}");
    let (low, high) = ttft[1].ratio_interval.unwrap();
    assert!(low < 2.0 && 2.0 < high, "{low} {high}");
    assert_eq!((ttft[0].ratio, ttft[0].ratio_interval), (Some(1.0), None));
    let rate = figure(&compared, "requests_per_second");
    assert_eq!((rate[0].value, rate[0].interval, rate[1].ratio), (40.0 / 3.931, None, Some(1.0)));
    assert_eq!(figure(&compared, "cache_hit_rate")[0].value, 0.4);
}

#[test]
fn repeats_resample_runs() {
    let runs = [directory(1), directory(2), directory(4), directory(4)];
    let directories: Vec<PathBuf> = runs.iter().map(|of| of.path().to_owned()).collect();
    let groups = vec![Group { label: "A".into(), runs: 2 }, Group { label: "B".into(), runs: 2 }];
    let compared = compare(&directories, &Options { groups, ..Options::default() }).unwrap();
    assert!(compared.groups.iter().all(|group| group.resampled == Unit::Runs));
    let ttft = figure(&compared, "ttft_p50_ms");
    assert_eq!((ttft[0].value, ttft[0].interval), (28.5, Some((19.0, 38.0)))); // mean of 19 and 38
    assert_eq!((ttft[1].value, ttft[1].interval), (76.0, Some((76.0, 76.0))));
    assert_eq!(ttft[1].ratio_interval, Some((2.0, 4.0)));
}

/// The same seed gives the same intervals, another seed others.
#[test]
fn draws_depend_on_the_seed_only() {
    let (one, two) = (directory(1), directory(2));
    let directories: Vec<PathBuf> = [&one, &two].map(|of| of.path().to_owned()).to_vec();
    let of = |seed| {
        let compared = compare(&directories, &Options { seed, resamples: 50, ..Options::default() }).unwrap();
        serde_json::to_string(&compared.figures).unwrap()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}
