//! An independent reading of incremental rows: every prompt token by token, and its blocks of any size.

use std::collections::HashMap;

use serde_json::Value;

/// A token: where it comes from, and its place there.
type Token = (u64, u64, u32);
pub type Prompt = Vec<Token>;

/// Sources of tokens: chunks of the trace, then outputs and inputs of turns.
const CHUNK: u64 = 0;
const OUTPUT: u64 = 1 << 32;
const INPUT: u64 = 2 << 32;

#[derive(Default)]
struct Known {
    /// The last prompt, and the tokens of the output after it.
    prompt: Vec<Token>,
    output: Vec<Token>,
}

/// The prompts of incremental rows of a generated run, in the order of the rows.
pub fn prompts(rows: &[Value], block_size: u32) -> Vec<Prompt> {
    let mut known: HashMap<String, Known> = HashMap::new();
    let (mut numbers, mut turns): (HashMap<String, u64>, HashMap<String, u64>) = (HashMap::new(), HashMap::new());
    let mut prompts = Vec::new();
    for row in rows {
        let name = row["session_id"].as_str().unwrap().to_owned();
        let next = numbers.len() as u64;
        let number = *numbers.entry(name.clone()).or_insert(next);
        let turn = turns.entry(name.clone()).or_insert(0);
        let length = |key: &str| row[key].as_u64().map(|length| length as usize);
        let input = length("input_length").unwrap();
        let ids: Vec<u64> = row["hash_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        let chunk = |at: usize| (CHUNK, ids[at / block_size as usize], (at % block_size as usize) as u32);
        let parent = row["parent_session_id"].as_str().and_then(|parent| known.get(parent));
        let returned = |output: &[Token]| {
            let count = length("returned_length").unwrap_or(output.len()).min(output.len());
            output[output.len() - count..].to_vec()
        };
        let mut prompt: Prompt = match (*turn, row["link"].as_str(), parent) {
            (0, Some("break"), Some(parent)) => parent.prompt[..length("kept_length").unwrap()].to_vec(),
            (0, _, Some(parent)) if row["is_restart"].as_bool() == Some(true) => {
                let mut whole = parent.prompt.clone();
                whole.extend(returned(&parent.output));
                whole.truncate(input);
                whole
            }
            (0, ..) => Vec::new(),
            (turn, ..) => {
                let before = &known[&name];
                let mut whole = before.prompt.clone();
                whole.extend(returned(&before.output));
                whole.extend((0..input).map(|at| (INPUT + number, turn, at as u32)));
                whole
            }
        };
        if *turn == 0 {
            // What it does not have from its parent.
            prompt.extend((prompt.len()..input).map(chunk));
        }
        let output = (0..length("output_length").unwrap()).map(|at| (OUTPUT + number, *turn, at as u32)).collect();
        known.insert(name, Known { prompt: prompt.clone(), output });
        *turn += 1;
        prompts.push(prompt);
    }
    prompts
}

/// The identity of each full block of prompts: of its tokens and all before them.
pub fn chains(prompts: &[Prompt], block_size: u32) -> Vec<Vec<usize>> {
    let mut keys: HashMap<(usize, &[Token]), usize> = HashMap::new();
    let mut chains = Vec::new();
    for prompt in prompts {
        let mut before = 0;
        let chain = prompt.chunks_exact(block_size as usize).map(|block| {
            let next = keys.len() + 1;
            before = *keys.entry((before, block)).or_insert(next);
            before
        });
        chains.push(chain.collect());
    }
    chains
}
