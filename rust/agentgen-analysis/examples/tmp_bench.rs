#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout)]
use std::path::PathBuf; use std::sync::Arc; use std::sync::atomic::AtomicU64; use std::time::Instant;
use agentgen_analysis::validate::{Options, validate};
use agentgen_core::{Config, Plan, config};
use agentgen_trace::{Cancel, Layout, Origin, Overrides, Result, manifest::Shard, run::*};
struct No; impl Observer for No { fn batch(&mut self, _: &arrow_array::RecordBatch) -> Result<()> {Ok(())} fn merge(&mut self, _: Self) {} fn finish(self, _: &Plan, _: &RunFacts<'_>) -> Result<Vec<(&'static str, Vec<u8>)>> {Ok(vec![])} }
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "gen" {
        let mut c = Config::from_json(config::preset(&a[3]).unwrap()).unwrap(); 
        c.restart_initial_probability = a[5].parse().unwrap();
        let o = Origin { config: c, overrides: Overrides::default(), seed: 5, sessions: a[4].parse().unwrap() };
        let layout = Layout::named(&a[6]).unwrap();
        let plan = Plan::new(&o.config, o.overrides, o.seed, o.sessions, layout).unwrap();
        let parquet = a.get(7).is_some();
        let opt = RunOptions { directory: PathBuf::from(&a[2]), jsonl: !parquet, parquet, zstd: false, shard: Shard { index: 0, count: 1 }, threads: 2, created: "x".into() };
        let t = Instant::now();
        write_run(&Arc::new(plan), &o, &opt, || No, &Cancel::default(), &AtomicU64::new(0)).unwrap();
        println!("generated {:?}", t.elapsed());
    } else {
        let t = Instant::now();
        let r = validate(&[PathBuf::from(&a[2])], &Options { threads: a[3].parse().unwrap(), ..Options::default() }, &Cancel::default(), &mut |_, _| {}).unwrap();
        let s = t.elapsed().as_secs_f64();
        println!("ok {} rows {} sessions {} bytes {} errors {} in {s:.2} s: {:.0} MB/s", r.ok, r.rows, r.sessions, r.bytes, r.errors, r.bytes as f64 / s / 1e6);
        for f in r.findings.iter().take(5) { println!("{f:?}"); }
        println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect::<String>());
    }
}
