//! A server without Python around it, for measurements: its options as JSON, until its standard input ends.

#![allow(clippy::print_stdout)]

use std::io::{Read, stdin};

use agentgen_server::{Options, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_json(&std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned()))?;
    let server = Server::start(options)?;
    println!("{}", server.url());
    stdin().read_to_end(&mut Vec::new())?;
    println!("{:?}", server.stats());
    Ok(())
}
