#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout)]
use std::path::PathBuf; use std::time::Instant;
use agentgen_analysis::validate::{Options, validate};
use agentgen_trace::Cancel;
fn main() {
    let a: Vec<String> = std::env::args().collect();
        let t = Instant::now();
        let r = validate(&[PathBuf::from(&a[2])], &Options { threads: a[3].parse().unwrap(), ..Options::default() }, &Cancel::default(), &mut |_, _| {}).unwrap();
        let s = t.elapsed().as_secs_f64();
        println!("ok {} rows {} sessions {} bytes {} errors {} in {s:.2} s: {:.0} MB/s", r.ok, r.rows, r.sessions, r.bytes, r.errors, r.bytes as f64 / s / 1e6);
        for f in r.findings.iter().take(5) { println!("{f:?}"); }
        println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect::<String>());
}
