//! Linked sessions of random configurations, token by token: an id stands for the same tokens everywhere, and for no others.

use std::collections::HashMap;

use agentgen_core::agents::{ALL, Link};
use agentgen_core::config::Overrides;
use agentgen_core::{Config, ConfigError, DatasetSpec, EndReason, Layout, RowIds, Session, SessionGenerator, Turn};
use agentgen_testing::linked::{Parameters, config, parameters};
use proptest::prelude::*;

/// A token, by what made it: the session's name, turn and offset; prefixes have names of their own.
type Token = (String, u32, u32);

/// A session with its tokens.
struct Made {
    name: String,
    parent: String,
    link: Link,
    root: u64,
    end: EndReason,
    turns: Vec<Turn>,
    ids: Vec<Vec<u64>>,
    prompts: Vec<Vec<Token>>,
    start_delay: u64,
    times: Vec<u64>,
}

fn made(spec: &DatasetSpec, session: &Session<'_>, earlier: &HashMap<String, Made>) -> Made {
    let view = session.member.expect("a configuration of agents");
    let name = view.member.name(spec.names(), session.root).to_string();
    let parent = view.parent.name(spec.names(), session.root).to_string();
    let fresh = |turn: usize, count: u32| (0..count).map(move |at| (turn as u32, at));
    let own = |turn: usize, count: u32| fresh(turn, count).map(|(t, at)| (name.clone(), t, at)).collect::<Vec<_>>();
    // The last tokens of an output, which are named after it.
    let output = |name: &str, turn: usize, output: u32, returned: u32| {
        let from = output - if returned == ALL { output } else { returned };
        (from..output).map(|at| (format!("{name} output"), turn as u32, at)).collect::<Vec<_>>()
    };
    let mut prompts: Vec<Vec<Token>> = Vec::new();
    for (index, turn) in session.turns.iter().enumerate() {
        let prompt = if index > 0 {
            let last = session.turns[index - 1];
            let mut prompt = prompts[index - 1].clone();
            prompt.extend(output(&name, index - 1, last.output, turn.returned));
            prompt.extend(own(index, turn.input));
            prompt
        } else {
            let prefix = match view.member.link {
                Link::Root => {
                    let (layer1, layer1_5) = spec.config().prefix_blocks();
                    let size = u64::from(spec.config().block_size);
                    let group = format!("group {}", session.group);
                    let tokens = |name: &str, blocks: u64| {
                        (0..(blocks * size) as u32).map(|at| (name.to_owned(), 0, at)).collect::<Vec<_>>()
                    };
                    [tokens("L1", layer1), tokens(&group, layer1_5)].concat()
                }
                Link::SubAgent { kind, .. } => {
                    let stated = &spec.config().subagents.as_ref().expect("stated").kinds[kind];
                    let tokens = spec.config().kind_prefix_tokens(stated) as u32;
                    (0..tokens).map(|at| (format!("kind {kind}"), 0, at)).collect()
                }
                Link::Break { kept, .. } => {
                    earlier[&parent].prompts.last().expect("a prompt")[..kept as usize].to_vec()
                }
                Link::Restart => {
                    let before = &earlier[&parent];
                    let (at, last) = (before.turns.len() - 1, before.turns[before.turns.len() - 1]);
                    let mut whole = before.prompts[at].clone();
                    whole.extend(output(&parent, at, last.output, turn.returned));
                    whole.truncate(turn.context as usize);
                    whole
                }
            };
            let own = own(0, turn.context - prefix.len() as u32);
            [prefix, own].concat()
        };
        assert_eq!(prompt.len(), turn.context as usize, "{name} turn {index}");
        prompts.push(prompt);
    }
    let mut ids = RowIds::new(spec.ids(), spec.layout(), session);
    let mut ranges = Vec::new();
    let rows = (0..session.turns.len()).map(|index| {
        ids.row(session, index, &mut ranges);
        ranges.iter().flat_map(|range| range.first..range.first + range.count).collect()
    });
    Made {
        ids: rows.collect(),
        name,
        parent,
        link: view.member.link,
        root: session.root,
        end: session.end,
        turns: session.turns.to_vec(),
        prompts,
        start_delay: view.member.start_delay_tenths,
        times: view.times.to_vec(),
    }
}

/// All sessions in the order of the file, without the places of restarts.
fn everything(spec: &DatasetSpec) -> Vec<Made> {
    let mut generator = SessionGenerator::new(spec);
    let (mut order, mut sessions) = (Vec::new(), HashMap::new());
    for is_restart in [false, true] {
        for root in 0..spec.sessions() {
            let mut each = |session: &Session<'_>| {
                let made = made(spec, session, &sessions);
                order.push(made.name.clone());
                assert!(sessions.insert(made.name.clone(), made).is_none(), "a name twice");
                Ok::<_, ConfigError>(())
            };
            if is_restart {
                generator.restart_bundle(root, 0, &mut each)
            } else {
                generator.root_bundle(root, 0, &mut each)
            }
            .expect("never fails");
        }
    }
    order.into_iter().map(|name| sessions.remove(&name).expect("made")).collect()
}

fn check_lengths(spec: &DatasetSpec, session: &Made, sessions: &HashMap<&str, &Made>) {
    let (config, turns) = (spec.config(), &session.turns);
    for pair in turns.windows(2) {
        let returned = if pair[1].returned == ALL { pair[0].output } else { pair[1].returned };
        assert!(returned <= pair[0].output && pair[1].input >= 1);
        assert_eq!(pair[1].context, pair[0].context + returned + pair[1].input);
    }
    assert!(turns.iter().all(|turn| turn.context < config.max_prompt_tokens));
    let parent = sessions.get(session.parent.as_str());
    match session.link {
        Link::Root => {}
        Link::Restart => assert_eq!(parent.expect("made").end, EndReason::RestartSplit),
        Link::Break { kept, .. } => {
            let parent = parent.expect("made");
            assert_eq!(parent.end, EndReason::Break);
            let last = parent.turns.last().expect("a call").context;
            assert!(kept <= last && kept < turns[0].context && kept % config.block_size == 0);
            let begin = parent.times[parent.times.len() - 1] + session.start_delay;
            assert_eq!(session.times[0], begin);
        }
        Link::SubAgent { parent_turn, join_turn, .. } => {
            let parent = parent.expect("made");
            assert!(join_turn.is_none_or(|join| join == parent_turn + 1 && (join as usize) < parent.turns.len()));
            assert_eq!(session.times[0], parent.times[parent_turn as usize] + session.start_delay);
        }
    }
    assert!(session.times.is_sorted());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn whole_prompts_have_equal_ids_exactly_where_they_are_equal(p in parameters()) {
        let spec = DatasetSpec::new(&config(&p), Overrides::default(), p.seed, 6, Layout::Cumulative).expect("feasible");
        let sessions = everything(&spec);
        let by_name: HashMap<&str, &Made> = sessions.iter().map(|session| (session.name.as_str(), session)).collect();
        let size = p.block_size as usize;
        let (mut content_of, mut id_of) = (HashMap::new(), HashMap::new());
        for session in &sessions {
            check_lengths(&spec, session, &by_name);
            for (ids, prompt) in session.ids.iter().zip(&session.prompts) {
                assert_eq!(ids.len(), prompt.len().div_ceil(size));
                for (block, id) in ids.iter().enumerate() {
                    let end = ((block + 1) * size).min(prompt.len());
                    let is_partial = end < (block + 1) * size;
                    let known = content_of.insert(*id, prompt[..end].to_vec());
                    assert!(known.is_none_or(|known| !is_partial && known == prompt[..end]), "{}: id {id}", session.name);
                    if !is_partial {
                        let known = id_of.insert(prompt[..end].to_vec(), *id);
                        assert!(known.is_none_or(|known| known == *id), "{}: block {block}", session.name);
                    }
                    assert!(*id < spec.ids().base(0) || spec.ids().root_of(*id) == Some(session.root));
                }
            }
        }
    }

    #[test]
    fn new_tokens_have_equal_ids_exactly_where_they_are_equal(p in parameters()) {
        let spec = DatasetSpec::new(&config(&p), Overrides::default(), p.seed, 6, Layout::Incremental).expect("feasible");
        let sessions = everything(&spec);
        let by_name: HashMap<&str, &Made> = sessions.iter().map(|session| (session.name.as_str(), session)).collect();
        let size = p.block_size as usize;
        let mut content_of: HashMap<u64, Vec<Token>> = HashMap::new();
        for session in &sessions {
            check_lengths(&spec, session, &by_name);
            for (index, (ids, turn)) in session.ids.iter().zip(&session.turns).enumerate() {
                assert_eq!(ids.len(), (turn.input as usize).div_ceil(size));
                // Ids of a restart's first row, and those before what a break keeps, may stand for other tokens.
                let kept = match session.link {
                    Link::Restart if index == 0 => continue,
                    Link::Break { kept, .. } if index == 0 => kept as usize / size,
                    _ => 0,
                };
                let prompt = &session.prompts[index];
                let new = &prompt[prompt.len() - turn.input as usize..];
                for (chunk, (id, tokens)) in ids.iter().zip(new.chunks(size)).enumerate().skip(kept) {
                    let known = content_of.insert(*id, tokens.to_vec());
                    let is_whole = tokens.len() == size;
                    assert!(known.is_none_or(|known| is_whole && known == tokens), "{}: chunk {chunk}", session.name);
                }
            }
        }
    }

    #[test]
    fn lines_do_not_depend_on_sub_agents_and_both_layouts_have_the_same_lengths(p in parameters()) {
        let stated = config(&p);
        let lengths = |config: &Config, layout| {
            let spec = DatasetSpec::new(config, Overrides::default(), p.seed, 6, layout).expect("feasible");
            let main = |session: &Made| !matches!(session.link, Link::SubAgent { .. });
            let sessions = everything(&spec).into_iter().filter(main);
            sessions.map(|session| (session.link, session.turns)).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&stated, Layout::Incremental), lengths(&stated, Layout::Cumulative));
        let mut alone = stated.clone();
        if let Some(subagents) = &mut alone.subagents {
            subagents.kinds.clear();
        }
        let main: Vec<_> = lengths(&alone, Layout::Incremental);
        let mut with = lengths(&stated, Layout::Incremental);
        with.retain(|line| main.contains(line));
        assert_eq!(main, with);
    }
}

#[test]
fn random_configurations_have_links_of_every_kind() {
    let p = Parameters {
        limit: 600,
        block_size: 4,
        breaks: 0.15,
        spawns: 0.2,
        restarts: 1.0,
        most_breaks: 4,
        most_agents: 5,
        without: 0,
        seed: 1,
    };
    let spec = DatasetSpec::new(&config(&p), Overrides::default(), p.seed, 60, Layout::Incremental).expect("feasible");
    let sessions = everything(&spec);
    let by_name: HashMap<&str, &Made> = sessions.iter().map(|session| (session.name.as_str(), session)).collect();
    let count = |is: &dyn Fn(&Made, &Made) -> bool| {
        let with_parent = sessions.iter().filter_map(|session| Some((session, *by_name.get(session.parent.as_str())?)));
        with_parent.filter(|(session, parent)| is(session, parent)).count()
    };
    let is_agent = |session: &Made| matches!(session.link, Link::SubAgent { .. });
    let is_break = |session: &Made| matches!(session.link, Link::Break { .. });
    assert!(count(&|s, parent| is_break(s) && is_break(parent)) > 5);
    assert!(count(&|s, parent| is_agent(s) && is_agent(parent)) > 5);
    assert!(count(&|s, parent| is_break(s) && is_agent(parent)) > 5);
    assert!(count(&|s, parent| is_agent(s) && parent.link == Link::Restart) > 5);
    assert!(count(&|s, parent| s.link == Link::Restart && is_break(parent)) > 0);
    assert!(count(&|s, parent| is_break(s) && parent.link == Link::Restart) > 5);
    assert!(sessions.iter().flat_map(|s| &s.turns).filter(|turn| turn.returned != ALL).count() > 100);
}
