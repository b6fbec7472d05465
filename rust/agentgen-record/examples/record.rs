//! Records for `benches/record.py`: `record UPSTREAM JOURNAL` prints its URL and runs until its standard input ends.

use std::io::Read as _;

use agentgen_record::{RecordOptions, Recorder};

#[allow(clippy::print_stdout)] // a program
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let options = format!(r#"{{"proxy":{{"upstream":{:?}}},"journal":{:?}}}"#, arguments[1], arguments[2]);
    let options = RecordOptions::from_json(&options).expect("an URL and a file");
    let mut recorder = Recorder::start(options).expect("a free port and a new file");
    println!("http://{}", recorder.address());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    recorder.stop();
    println!("{}", recorder.stats().calls);
}
