//! Keys, the tree of chains and the prefix cache, against tokens compared one by one and blocks held one by one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use agentgen_engine::kv::{
    BlockKey, NodeId, Policy, PrefixCache, PrefixMatch, Prompt, RadixTree, TokenSeq, block_keys,
};
use agentgen_testing::files::shared;
use proptest::prelude::*;

/// One token: a hash id and the offset in it, or a session and the position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Of(i64, u32),
    Own(u64, usize),
}

/// A stream and its tokens one by one.
#[derive(Debug, Clone)]
struct Twin {
    stream: TokenSeq,
    tokens: Vec<Token>,
}

/// A change of a stream.
#[derive(Debug, Clone)]
enum Step {
    /// Ids, the last of them with this share of its tokens.
    Ids(Vec<i64>, u32),
    /// The same ids one by one.
    Apart(Vec<i64>),
    /// The tokens of these ids beyond the length of the stream.
    Prompt(Vec<i64>),
    Own(u64, usize),
    Cut(usize),
}

fn ids() -> impl Strategy<Value = Vec<i64>> {
    let runs = prop::collection::vec((0..6_i64, 1..4_i64), 1..4);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(first, count)| first..first + count).collect())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (ids(), 0..7_u32).prop_map(|(ids, missing)| Step::Ids(ids, missing)),
        2 => ids().prop_map(Step::Apart),
        1 => ids().prop_map(Step::Prompt),
        3 => (0..2_u64, 0..9_usize).prop_map(|(conversation, tokens)| Step::Own(conversation, tokens)),
        2 => (0..30_usize).prop_map(Step::Cut),
    ]
}

impl Twin {
    fn new(id_tokens: u32) -> Self {
        Self { stream: TokenSeq::new(id_tokens), tokens: Vec::new() }
    }

    fn expanded(&self, ids: &[i64]) -> Vec<Token> {
        ids.iter().flat_map(|id| (0..self.stream.id_tokens()).map(|offset| Token::Of(*id, offset))).collect()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ids(ids, missing) => {
                let mut tokens = self.expanded(ids);
                tokens.truncate(tokens.len() - (missing % self.stream.id_tokens()) as usize);
                self.stream.push_ids(ids, tokens.len() as u64);
                self.tokens.extend(tokens);
            }
            Step::Apart(ids) => {
                for id in ids {
                    self.stream.push_ids(&[*id], u64::from(self.stream.id_tokens()));
                }
                self.tokens.extend(self.expanded(ids));
            }
            Step::Prompt(ids) => {
                let prompt = self.expanded(ids);
                if let Some(new) = prompt.get(self.tokens.len()..) {
                    let mut whole = TokenSeq::new(self.stream.id_tokens());
                    whole.push_ids(ids, prompt.len() as u64);
                    self.stream.append(&whole, self.tokens.len() as u64);
                    self.tokens.extend(new);
                }
            }
            Step::Own(conversation, tokens) => {
                self.stream.push_own(*conversation, *tokens as u64);
                let start = self.tokens.len();
                self.tokens.extend((start..start + tokens).map(|at| Token::Own(*conversation, at)));
            }
            Step::Cut(tokens) => {
                self.stream.truncate(*tokens as u64);
                self.tokens.truncate(*tokens);
            }
        }
    }

    /// The prompt of the first `tokens` tokens, at most all.
    fn prompt(&self, tokens: usize, block_tokens: u32) -> Prompt<'_> {
        Prompt::new(&self.stream, tokens.min(self.tokens.len()) as u32, None, block_tokens)
    }

    fn blocks(&self, block_tokens: u32) -> u32 {
        self.tokens.len() as u32 / block_tokens
    }

    /// The first `blocks` blocks, each as all the tokens up to its end.
    fn chain(&self, blocks: u32, block_tokens: u32) -> impl DoubleEndedIterator<Item = &[Token]> {
        (1..=blocks).map(move |block| &self.tokens[..(block * block_tokens) as usize])
    }
}

/// Streams of one trace; most begin with a prefix of another.
fn twins(streams: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Twin>> {
    let made = (any::<prop::sample::Index>(), 0..40_usize, prop::collection::vec(step(), 1..5));
    (prop_oneof![Just(1_u32), Just(4), Just(7)], prop::collection::vec(made, streams)).prop_map(|(id_tokens, made)| {
        let mut twins = vec![Twin::new(id_tokens)];
        for (from, kept, steps) in made {
            let mut twin = from.get(&twins).clone();
            twin.take(&Step::Cut(kept));
            for step in &steps {
                twin.take(step);
            }
            twins.push(twin);
        }
        twins
    })
}

fn block_sizes() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_u32), Just(3), Just(4), Just(16)]
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_for_equal_prefixes(twins in twins(2..12), more in 0..5_u64) {
        for block in [1, 3, 4, 16] {
            let (mut of_key, mut of_tokens) = (HashMap::new(), HashMap::new());
            for twin in &twins {
                // A limit beyond the end has no effect.
                let keys: Vec<BlockKey> = block_keys(&twin.stream, twin.tokens.len() as u64 + more, block).collect();
                prop_assert_eq!(keys.len() as u32, twin.blocks(block));
                let half: Vec<BlockKey> = block_keys(&twin.stream, twin.tokens.len() as u64 / 2, block).collect();
                prop_assert_eq!(&half[..], &keys[..twin.tokens.len() / 2 / block as usize]);
                for (key, tokens) in keys.into_iter().zip(twin.chain(twin.blocks(block), block)) {
                    prop_assert_eq!(*of_key.entry(key).or_insert(tokens), tokens, "one key, other tokens");
                    prop_assert_eq!(*of_tokens.entry(tokens).or_insert(key), key, "the same tokens, another key");
                }
            }
        }
    }
}

/// What a test does to a tree.
#[derive(Debug, Clone)]
enum Move {
    /// Makes a share of a stream a chain. With `touch`, its nodes are marked, and new blocks may extend a node.
    Grow { stream: prop::sample::Index, share: f64, touch: bool },
    /// Removes a share of the blocks of a leaf on a stream's chain, at least one.
    Shorten { stream: prop::sample::Index, share: f64 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        3 => (index(), 0.0..=1.0, any::<bool>()).prop_map(|(stream, share, touch)| Move::Grow { stream, share, touch }),
        1 => (index(), 0.0..=1.0).prop_map(|(stream, share)| Move::Shorten { stream, share }),
    ];
    prop::collection::vec(one, 1..25)
}

fn part(blocks: u32, share: f64) -> u32 {
    (f64::from(blocks) * share).round() as u32
}

/// Every block of a tree, identified by all tokens up to its end, and its last mark.
type Marked<'a> = HashMap<&'a [Token], u32>;

/// Compares a tree with the blocks that it should hold.
fn check_tree(tree: &mut RadixTree<u32>, held: &Marked<'_>, twins: &[Twin], block: u32) -> Result<(), TestCaseError> {
    let mut owner: HashMap<&[Token], NodeId> = HashMap::new();
    let mut spans: HashMap<NodeId, (u32, u32)> = HashMap::new();
    for twin in twins {
        let all = twin.blocks(block);
        let same = twin.chain(all, block).take_while(|tokens| held.contains_key(tokens)).count() as u32;
        for limit in 0..=all {
            let found = tree.find(&twin.stream, limit);
            prop_assert_eq!(found.blocks, same.min(limit));
            prop_assert_eq!(found.node == NodeId::ROOT, found.blocks == 0);
            let (start, end) = tree.span(found.node);
            prop_assert!(found.blocks == 0 || start < found.blocks && found.blocks <= end);
        }
        let PrefixMatch { node, blocks } = tree.find(&twin.stream, all);
        let mut after = blocks;
        for at in tree.path(node).collect::<Vec<_>>() {
            let (start, end) = tree.span(at);
            prop_assert!(start < end && end >= after && start < after);
            prop_assert_eq!(tree.span(tree.parent(at)).1, start);
            spans.insert(at, (start, end));
            for tokens in twin.chain(end.min(blocks), block).skip(start as usize) {
                prop_assert_eq!(*owner.entry(tokens).or_insert(at), at, "a block is in one node");
                prop_assert_eq!(*tree.data(at), held[tokens], "the blocks of a node have one mark");
            }
            let is_leaf = tree.is_leaf(at);
            let followed = held.keys().any(|tokens| {
                tokens.len() as u32 == (end + 1) * block
                    && owner.get(&tokens[..((start + 1) * block) as usize]) == Some(&at)
            });
            prop_assert_eq!(is_leaf, !followed);
            after = start;
        }
        prop_assert_eq!(after, 0);
    }
    prop_assert_eq!(owner.len(), held.len());
    prop_assert_eq!(spans.values().map(|(start, end)| end - start).sum::<u32>(), held.len() as u32, "extents overlap");
    prop_assert_eq!(tree.node_count(), spans.len());
    let mut each = Vec::new();
    tree.for_each(|span, mark| each.push((span, *mark)));
    let mut expected: Vec<_> = spans.iter().map(|(id, span)| (*span, *tree.data(*id))).collect();
    each.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(each, expected);
    Ok(())
}

proptest! {
    #[test]
    fn a_tree_holds_the_blocks_that_were_added(twins in twins(2..8), moves in moves(), block in block_sizes()) {
        let mut tree = RadixTree::new(twins[0].stream.id_tokens(), block);
        let mut held = Marked::new();
        // The matches of each stream since the last removal.
        let mut known: Vec<PrefixMatch> = vec![PrefixMatch::NOTHING; twins.len()];
        for (mark, action) in (1..).zip(&moves) {
            match action {
                Move::Grow { stream, share, touch } => {
                    let index = stream.index(twins.len());
                    let twin = &twins[index];
                    let blocks = part(twin.blocks(block), *share);
                    let found = tree.find_from(known[index], &twin.stream, blocks);
                    prop_assert_eq!(found, tree.find(&twin.stream, blocks));
                    let end = tree.grow(found, &twin.stream, blocks, mark, *touch);
                    prop_assert_eq!(tree.span(end).1, blocks);
                    known[index] = PrefixMatch { node: end, blocks };
                    for tokens in twin.chain(blocks, block) {
                        let old = held.entry(tokens).or_insert(mark);
                        if *touch {
                            *old = mark;
                        }
                    }
                    if *touch {
                        tree.touch(end, |_, old| *old = mark);
                    }
                }
                Move::Shorten { stream, share } => {
                    let twin = stream.get(&twins);
                    let found = tree.find(&twin.stream, twin.blocks(block));
                    if found.blocks == 0 || !tree.is_leaf(found.node) {
                        continue;
                    }
                    let (start, end) = tree.span(found.node);
                    let gone = part(end - start, *share).max(1);
                    let first = twin.tokens[..((start + 1) * block) as usize].to_vec();
                    tree.shorten(found.node, gone);
                    let length = |tokens: &[Token]| tokens.len() as u32 / block;
                    held.retain(|tokens, _| !(tokens.starts_with(&first) && length(tokens) > end - gone));
                    known.fill(PrefixMatch::NOTHING);
                }
            }
            check_tree(&mut tree, &held, &twins, block)?;
        }
    }
}

/// A block of the plain cache.
#[derive(Debug, Clone)]
struct NodeState {
    /// All tokens up to its end.
    chain: Rc<[Token]>,
    rank: u64,
    pins: u32,
}

/// A cache that holds blocks one by one and searches all of them for the one to evict.
#[derive(Debug)]
struct Plain {
    policy: Policy,
    capacity: usize,
    block: usize,
    clock: u64,
    held: Vec<NodeState>,
}

impl Plain {
    fn find(&mut self, tokens: &[Token]) -> Option<&mut NodeState> {
        self.held.iter_mut().find(|held| *held.chain == *tokens)
    }

    fn lookup(&mut self, twin: &Twin, blocks: u32) -> u32 {
        twin.chain(blocks, self.block as u32).take_while(|tokens| self.find(tokens).is_some()).count() as u32
    }

    /// `(added, evicted)`; `ranks`: by block.
    fn insert(&mut self, twin: &Twin, ranks: &[u64]) -> (u64, u64) {
        let (policy, mut added, mut evicted) = (self.policy, 0, 0);
        for (tokens, rank) in twin.chain(ranks.len() as u32, self.block as u32).zip(ranks) {
            match self.find(tokens) {
                Some(held) if policy != Policy::Fifo => held.rank = *rank,
                Some(_) => {}
                None => {
                    self.held.push(NodeState { chain: tokens.into(), rank: *rank, pins: 0 });
                    added += 1;
                }
            }
        }
        while self.held.len() > self.capacity {
            let followed: HashSet<&[Token]> =
                self.held.iter().map(|held| &held.chain[..held.chain.len() - self.block]).collect();
            let free = |held: &NodeState| held.pins == 0 && !followed.contains(&*held.chain);
            let first = (0..self.held.len()).filter(|at| free(&self.held[*at])).min_by_key(|at| self.held[*at].rank);
            let Some(first) = first else { break };
            self.held.remove(first);
            evicted += 1;
        }
        (added, evicted)
    }

    fn used(&mut self, twin: &Twin, blocks: u32) -> (u64, u64) {
        self.clock += 1;
        self.insert(twin, &vec![self.clock; blocks as usize])
    }

    /// Pins the held blocks of a chain, or unpins them.
    fn pin(&mut self, twin: &Twin, blocks: u32, by: i32) {
        for tokens in twin.chain(blocks, self.block as u32) {
            if let Some(held) = self.find(tokens) {
                held.pins = held.pins.checked_add_signed(by).expect("pinned before it is unpinned");
            }
        }
    }
}

/// What a test does to a cache.
#[derive(Debug, Clone)]
enum Use {
    Insert(prop::sample::Index, f64),
    Pin(prop::sample::Index, f64),
    /// Unpins one of the open pins.
    Unpin(prop::sample::Index),
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    let index = any::<prop::sample::Index>;
    let share = || prop_oneof![Just(1.0), 0.0..=1.0];
    let one = prop_oneof![
        4 => (index(), share()).prop_map(|(stream, share)| Use::Insert(stream, share)),
        2 => (index(), share()).prop_map(|(stream, share)| Use::Pin(stream, share)),
        1 => index().prop_map(Use::Unpin),
    ];
    prop::collection::vec(one, 1..40)
}

/// Checks that both caches hold the same blocks.
fn check_cache(cache: &PrefixCache, plain: &mut Plain, twins: &[Twin]) -> Result<(), TestCaseError> {
    prop_assert_eq!(cache.used_blocks(), plain.held.len() as u64);
    prop_assert!(plain.held.len() <= plain.capacity);
    let block = plain.block as u32;
    for twin in twins {
        for tokens in [twin.tokens.len(), twin.tokens.len() / 2] {
            let prompt = twin.prompt(tokens, block);
            prop_assert_eq!(cache.lookup(&prompt), plain.lookup(twin, prompt.reusable_blocks));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn lru_and_fifo_evict_the_same_blocks_as_a_plain_cache(
        twins in twins(2..8), uses in uses(), block in block_sizes(), capacity in 0..40_usize, is_lru: bool,
    ) {
        let policy = if is_lru { Policy::Lru } else { Policy::Fifo };
        let mut cache = PrefixCache::new(policy, capacity as u64, twins[0].stream.id_tokens(), block);
        let mut plain = Plain { policy, capacity, block: block as usize, clock: 0, held: Vec::new() };
        let mut open = Vec::new();
        for action in uses {
            match action {
                Use::Insert(stream, share) => {
                    let twin = stream.get(&twins);
                    let blocks = part(twin.blocks(block), share);
                    let inserted = cache.insert(&twin.stream, blocks);
                    prop_assert_eq!((inserted.added_blocks, inserted.evicted_blocks), plain.used(twin, blocks));
                }
                Use::Pin(stream, share) => {
                    let twin = stream.get(&twins);
                    let blocks = part(twin.blocks(block), share);
                    let held = plain.lookup(twin, blocks);
                    open.push((cache.pin(&twin.stream, blocks), twin, held));
                    plain.pin(twin, held, 1);
                }
                Use::Unpin(which) if !open.is_empty() => {
                    let (pin, twin, held) = open.swap_remove(which.index(open.len()));
                    cache.unpin(pin);
                    plain.pin(twin, held, -1);
                }
                Use::Unpin(_) => {}
            }
            for (_, twin, held) in &open {
                prop_assert_eq!(plain.lookup(twin, *held), *held, "pinned blocks stay");
            }
            check_cache(&cache, &mut plain, &twins)?;
        }
        for (pin, twin, held) in open {
            cache.unpin(pin);
            plain.pin(twin, held, -1);
        }
        // All unpinned blocks can be evicted.
        let last = twins.iter().max_by_key(|twin| twin.tokens.len()).expect("at least one");
        let inserted = cache.insert(&last.stream, last.blocks(block));
        prop_assert_eq!((inserted.added_blocks, inserted.evicted_blocks), plain.used(last, last.blocks(block)));
        check_cache(&cache, &mut plain, &twins)?;
    }

    #[test]
    fn lru_is_a_stack(
        twins in twins(2..8), uses in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        block in block_sizes(), capacity in 0..40_usize,
    ) {
        let mut cache = PrefixCache::new(Policy::Lru, capacity as u64, twins[0].stream.id_tokens(), block);
        let mut stack: Vec<&[Token]> = Vec::new();
        for which in uses {
            let twin = which.get(&twins);
            let prompt = twin.prompt(twin.tokens.len(), block);
            let found = twin.chain(prompt.reusable_blocks, block).take_while(|tokens| stack.contains(tokens)).count();
            prop_assert_eq!(cache.lookup(&prompt), found as u32);
            for tokens in twin.chain(prompt.kept_blocks, block).rev() {
                stack.retain(|held| *held != tokens);
                stack.insert(0, tokens);
            }
            stack.truncate(capacity);
            let _ = cache.insert(&twin.stream, prompt.kept_blocks);
            prop_assert_eq!(cache.used_blocks(), stack.len() as u64);
        }
    }

    #[test]
    fn belady_evicts_the_block_whose_next_use_is_farthest(
        twins in twins(2..8), uses in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..40),
        block in block_sizes(), capacity in 0..40_usize,
    ) {
        let policy = Policy::Belady;
        let mut cache = PrefixCache::new(policy, capacity as u64, twins[0].stream.id_tokens(), block);
        let mut plain = Plain { policy, capacity, block: block as usize, clock: 0, held: Vec::new() };
        let used: Vec<&Twin> = uses.iter().map(|(which, _)| which.get(&twins)).collect();
        let mut open = Vec::new();
        for (now, twin) in used.iter().enumerate() {
            let prompt = twin.prompt(twin.tokens.len(), block);
            prop_assert_eq!(cache.lookup(&prompt), plain.lookup(twin, prompt.reusable_blocks));
            // Pinned blocks stay until the next request has ended.
            let held = plain.lookup(twin, prompt.kept_blocks);
            if uses[now].1 {
                open.push((cache.pin(&twin.stream, prompt.kept_blocks), twin, held));
                plain.pin(twin, held, 1);
            }
            let next: Vec<u64> = twin
                .chain(prompt.kept_blocks, block)
                .map(|tokens| {
                    let later = used[now + 1..].iter().position(|other| other.tokens.starts_with(tokens));
                    later.map_or(u64::MAX, |more| (now + 1 + more) as u64)
                })
                .collect();
            let mut parts: Vec<(u32, u64)> = Vec::new();
            for (end, time) in (1..).zip(&next) {
                match parts.last_mut() {
                    Some(last) if last.1 == *time => last.0 = end,
                    _ => parts.push((end, *time)),
                }
            }
            let inserted = cache.insert_until(&twin.stream, &parts);
            let ranks: Vec<u64> = next.iter().map(|time| u64::MAX - time).collect();
            prop_assert_eq!((inserted.added_blocks, inserted.evicted_blocks), plain.insert(twin, &ranks));
            prop_assert_eq!(cache.used_blocks(), plain.held.len() as u64);
            if open.len() > 1 || (!uses[now].1 && !open.is_empty()) {
                let (pin, twin, held) = open.remove(0);
                cache.unpin(pin);
                plain.pin(twin, held, -1);
            }
        }
    }

    #[test]
    fn a_prompt_has_the_blocks_that_a_serving_engine_can_use(context in 0..200_u32, output in 0..50_u32, block in 1..20_u32) {
        let twin = Twin::new(4);
        let full = |tokens: u32| (0..tokens).filter(|at| (at + 1) % block == 0).count() as u32;
        for kept in [None, Some(output)] {
            let prompt = Prompt::new(&twin.stream, context, kept, block);
            prop_assert_eq!(prompt.full_blocks, full(context));
            prop_assert_eq!(prompt.reusable_blocks, full(context.max(1) - 1));
            // The last sampled token has no KV; without an output, the whole prompt has.
            prop_assert_eq!(prompt.kept_blocks, full(context + kept.unwrap_or(0).max(1) - 1));
            prop_assert_eq!(prompt.blocks(block), (0..context).filter(|at| at % block == 0).count() as u32);
        }
    }
}

/// The hash ids of the public trace's requests, in order; each id names a block and all before it.
fn conversation_trace() -> Vec<(u32, Vec<i64>)> {
    let text = std::fs::read_to_string(shared("mooncake/conversation_trace.jsonl")).expect("a text file");
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        let ids = row["hash_ids"].as_array().expect("a list").iter().map(|id| id.as_i64().expect("an id")).collect();
        (row["input_length"].as_u64().expect("a length") as u32, ids)
    };
    text.lines().map(row).collect()
}

/// Percent of all blocks, found in a cache of 10,000.
fn share_found(requests: &[(u32, Vec<i64>)], policy: Policy) -> String {
    let mut next_use = BTreeMap::new();
    let mut next: Vec<Vec<(u32, u64)>> = Vec::new();
    for (now, (_, ids)) in requests.iter().enumerate().rev() {
        next.push(
            (1..).zip(ids).map(|(end, id)| (end, next_use.insert(*id, now as u64).unwrap_or(u64::MAX))).collect(),
        );
    }
    let mut cache = PrefixCache::new(policy, 10_000, 512, 512);
    let (mut found, mut blocks) = (0, 0);
    for ((context, ids), next) in requests.iter().zip(next.iter().rev()) {
        let mut stream = TokenSeq::new(512);
        stream.push_ids(ids, ids.len() as u64 * 512);
        let prompt = Prompt::of_ids(&stream, *context);
        found += cache.lookup(&prompt);
        blocks += prompt.blocks(512);
        let inserted = if policy == Policy::Belady {
            cache.insert_until(&stream, next)
        } else {
            cache.insert(&stream, prompt.kept_blocks)
        };
        assert!(cache.used_blocks() <= 10_000 && inserted.added_blocks <= u64::from(prompt.kept_blocks));
    }
    format!("{:.1}", 100.0 * f64::from(found) / f64::from(blocks))
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn hit_rates_of_a_public_trace_by_policy() {
    let requests = conversation_trace();
    assert_eq!(share_found(&requests, Policy::Lru), "21.2");
    assert_eq!(share_found(&requests, Policy::Belady), "36.6");
    // The published 18.1 is of a queue that evicts heads of chains before their tails, which then cannot be found.
    assert_eq!(share_found(&requests, Policy::Fifo), "21.1");
}
