//! Tests block keys, the radix tree and the prefix cache against models that compare single tokens and hold single blocks.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use agentgen_engine::kv::{
    AdmissionRequest, BlockKey, Evicted, MatchHint, NodeId, Policy, PrefixCache, PrefixMatch, Prompt, RadixTree,
    TokenSeq, block_keys,
};
use agentgen_testing::files::shared;
use proptest::prelude::*;

/// One token: a hash id and the offset in it, or a session and the position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Of(i64, u32),
    Own(u64, usize),
}

/// A stream and its single tokens.
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
    /// Ids, pushed one by one.
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
        3 => (0..2_u64, 0..9_usize).prop_map(|(session, tokens)| Step::Own(session, tokens)),
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
            Step::Own(session, tokens) => {
                self.stream.push_own(*session, *tokens as u64);
                let start = self.tokens.len();
                self.tokens.extend((start..start + tokens).map(|at| Token::Own(*session, at)));
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

    /// The first `blocks` blocks, each as all tokens up to its end.
    fn chain(&self, blocks: u32, block_tokens: u32) -> impl DoubleEndedIterator<Item = &[Token]> {
        (1..=blocks).map(move |block| &self.tokens[..(block * block_tokens) as usize])
    }
}

/// Streams of one trace; most begin with a prefix of another one.
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
    /// Adds a share of a stream as a chain. With `touch`, its nodes are tagged, and new blocks may extend a node.
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

/// Every block of a tree, identified by all tokens up to its end, and its last tag.
type Tagged<'a> = HashMap<&'a [Token], u32>;

/// Compares a tree with the blocks that it should hold.
fn check_tree(tree: &mut RadixTree<u32>, held: &Tagged<'_>, twins: &[Twin], block: u32) -> Result<(), TestCaseError> {
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
                prop_assert_eq!(*tree.data(at), held[tokens], "the blocks of a node have one tag");
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
    prop_assert_eq!(spans.values().map(|(start, end)| end - start).sum::<u32>(), held.len() as u32, "nodes overlap");
    prop_assert_eq!(tree.node_count(), spans.len());
    let mut each = Vec::new();
    tree.for_each(|span, tag| each.push((span, *tag)));
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
        let mut held = Tagged::new();
        // The matches of each stream since the last removal.
        let mut known: Vec<PrefixMatch> = vec![PrefixMatch::NOTHING; twins.len()];
        for (tag, action) in (1..).zip(&moves) {
            match action {
                Move::Grow { stream, share, touch } => {
                    let index = stream.index(twins.len());
                    let twin = &twins[index];
                    let blocks = part(twin.blocks(block), *share);
                    let found = tree.find_from(known[index], &twin.stream, blocks);
                    prop_assert_eq!(found, tree.find(&twin.stream, blocks));
                    let end = tree.grow(found, &twin.stream, blocks, tag, *touch);
                    prop_assert_eq!(tree.span(end).1, blocks);
                    known[index] = PrefixMatch { node: end, blocks };
                    for tokens in twin.chain(blocks, block) {
                        let old = held.entry(tokens).or_insert(tag);
                        if *touch {
                            *old = tag;
                        }
                    }
                    if *touch {
                        tree.touch(end, |_, old| *old = tag);
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

/// A block of the reference cache.
#[derive(Debug, Clone)]
struct CachedBlock {
    /// All tokens up to its end.
    chain: Rc<[Token]>,
    /// Number of its last release.
    rank: u64,
    pins: u32,
}

/// A cache that holds blocks one by one and searches all of them for the one to evict.
#[derive(Debug)]
struct ReferenceCache {
    capacity: u64,
    block: u32,
    clock: u64,
    reserved: u64,
    blocks: Vec<CachedBlock>,
}

/// What a request holds in the reference cache.
#[derive(Debug)]
struct Hold {
    held_blocks: u32,
    reserved: u64,
}

impl ReferenceCache {
    fn find(&mut self, tokens: &[Token]) -> Option<&mut CachedBlock> {
        self.blocks.iter_mut().find(|block| *block.chain == *tokens)
    }

    fn lookup(&mut self, twin: &Twin, blocks: u32) -> u32 {
        twin.chain(blocks, self.block).take_while(|tokens| self.find(tokens).is_some()).count() as u32
    }

    fn pinned(&self) -> u64 {
        self.blocks.iter().filter(|block| block.pins > 0).count() as u64
    }

    /// Removes unpinned blocks that no other block follows, lowest rank first, while `is_due` accepts its rank.
    fn evict_while(&mut self, mut is_due: impl FnMut(&Self, u64) -> bool) -> u32 {
        let mut evicted = 0;
        loop {
            let before = |block: &CachedBlock| block.chain.len() - self.block as usize;
            let followed: HashSet<&[Token]> = self.blocks.iter().map(|b| &b.chain[..before(b)]).collect();
            let is_free = |block: &CachedBlock| block.pins == 0 && !followed.contains(&*block.chain);
            let free = (0..self.blocks.len()).filter(|at| is_free(&self.blocks[*at]));
            let Some(first) = free.min_by_key(|at| self.blocks[*at].rank) else { return evicted };
            if !is_due(self, self.blocks[first].rank) {
                return evicted;
            }
            self.blocks.remove(first);
            evicted += 1;
        }
    }

    /// Adds the missing blocks of a chain and changes the pins of all of them.
    fn put(&mut self, twin: &Twin, blocks: u32, pins: i32) {
        for tokens in twin.chain(blocks, self.block) {
            if self.find(tokens).is_none() {
                self.blocks.push(CachedBlock { chain: tokens.into(), rank: 0, pins: 0 });
            }
            let block = self.find(tokens).expect("just added");
            block.pins = block.pins.checked_add_signed(pins).expect("pinned before it is unpinned");
        }
    }

    /// `(what the request holds, reused blocks, found blocks, evicted blocks)`.
    fn admit(&mut self, twin: &Twin, prompt: &Prompt<'_>, needed: u64) -> Option<(Hold, u32, u32, u32)> {
        let found = self.lookup(twin, prompt.full_blocks.max(prompt.reusable_blocks));
        let hit = found.min(prompt.reusable_blocks);
        let held_blocks = prompt.full_blocks.max(hit);
        let reserved = needed - u64::from(held_blocks);
        let is_pinned = |block: &&mut CachedBlock| block.pins > 0;
        let pinned =
            twin.chain(held_blocks, self.block).filter(|tokens| self.find(tokens).as_ref().is_some_and(is_pinned));
        let newly_pinned = u64::from(held_blocks) - pinned.count() as u64;
        if self.pinned() + newly_pinned + self.reserved + reserved > self.capacity {
            return None;
        }
        self.put(twin, held_blocks, 1);
        self.reserved += reserved;
        let evicted = self.evict_while(|cache, _| cache.blocks.len() as u64 + cache.reserved > cache.capacity);
        Some((Hold { held_blocks, reserved }, hit, found, evicted))
    }

    fn release(&mut self, twin: &Twin, prompt: &Prompt<'_>, hold: &Hold) {
        self.clock += 1;
        self.reserved -= hold.reserved;
        self.put(twin, hold.held_blocks, -1);
        let kept = prompt.kept_blocks.max(hold.held_blocks);
        self.put(twin, kept, 0);
        let clock = self.clock;
        for tokens in twin.chain(kept, self.block) {
            self.find(tokens).expect("kept").rank = clock;
        }
    }
}

/// What a test does to a cache.
#[derive(Debug, Clone)]
enum CacheStep {
    /// Admits a request for a share of a stream; a share of its tokens is the output.
    Admit(prop::sample::Index, f64, f64),
    /// Releases one of the running requests.
    Release(prop::sample::Index),
    /// Drops the blocks whose last release is one of the first, by share.
    Expire(f64),
}

fn cache_steps() -> impl Strategy<Value = Vec<CacheStep>> {
    let index = any::<prop::sample::Index>;
    let share = || prop_oneof![Just(1.0), 0.0..=1.0];
    let one = prop_oneof![
        4 => (index(), share(), 0.0..=1.0).prop_map(|(stream, share, output)| CacheStep::Admit(stream, share, output)),
        3 => index().prop_map(CacheStep::Release),
        1 => (0.0..=1.0).prop_map(CacheStep::Expire),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn requests_find_and_evict_the_same_blocks_as_in_a_reference_cache(
        twins in twins(2..8), steps in cache_steps(), block in block_sizes(), capacity in 0..40_u64,
    ) {
        let mut cache = PrefixCache::new(Policy::Lru, capacity, twins[0].stream.id_tokens(), block);
        let mut reference = ReferenceCache { capacity, block, clock: 0, reserved: 0, blocks: Vec::new() };
        let (mut running, mut hints) = (Vec::new(), vec![MatchHint::NOTHING; twins.len()]);
        for step in steps {
            let mut evicted = 0;
            let mut count = |blocks: Evicted| evicted += blocks.end - blocks.start;
            match step {
                CacheStep::Admit(stream, share, output) => {
                    let index = stream.index(twins.len());
                    let twin = &twins[index];
                    let tokens = part(twin.tokens.len() as u32, share);
                    let output = part(tokens, output);
                    let prompt = Prompt::new(&twin.stream, tokens - output, Some(output), block);
                    let needed = u64::from(tokens.div_ceil(block));
                    let admitted = cache.admit(&AdmissionRequest { prompt, needed_blocks: needed, hint: hints[index] }, &mut count);
                    let expected = reference.admit(twin, &prompt, needed);
                    let figures = admitted.as_ref().map(|a| (a.hit_blocks, a.found_blocks, evicted));
                    prop_assert_eq!(figures, expected.as_ref().map(|(_, hit, found, evicted)| (*hit, *found, *evicted)));
                    if let (Some(admitted), Some((hold, ..))) = (admitted, expected) {
                        prop_assert_eq!(admitted.held_blocks, hold.held_blocks);
                        running.push((index, prompt, admitted.admission, hold));
                    }
                }
                CacheStep::Release(which) if !running.is_empty() => {
                    let (index, prompt, admission, hold) = running.swap_remove(which.index(running.len()));
                    let released = cache.release(admission, &prompt, 0);
                    reference.release(&twins[index], &prompt, &hold);
                    prop_assert_eq!(released.clock, reference.clock);
                    hints[index] = released.hint;
                }
                CacheStep::Release(_) => {}
                CacheStep::Expire(share) => {
                    let clock = (share * reference.clock as f64) as u64;
                    cache.expire(clock, &mut count);
                    prop_assert_eq!(evicted, reference.evict_while(|_, rank| rank <= clock));
                }
            }
            prop_assert_eq!(cache.used_blocks(), reference.blocks.len() as u64);
            prop_assert_eq!(cache.pinned_blocks(), reference.pinned());
            prop_assert_eq!(cache.reserved_blocks(), reference.reserved);
            prop_assert!(cache.used_blocks() + cache.reserved_blocks() <= capacity);
        }
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
            // Whole blocks only: a partial one would take room while the request runs.
            let prompt = twin.prompt((twin.blocks(block) * block) as usize, block);
            let found = twin.chain(prompt.reusable_blocks, block).take_while(|tokens| stack.contains(tokens)).count();
            let hit = serve(&mut cache, &prompt, u64::from(prompt.full_blocks));
            prop_assert_eq!(hit.is_some(), prompt.full_blocks as usize <= capacity);
            let Some(hit) = hit else { continue };
            prop_assert_eq!(hit, found as u32);
            for tokens in twin.chain(prompt.kept_blocks, block).rev() {
                stack.retain(|held| *held != tokens);
                stack.insert(0, tokens);
            }
            stack.truncate(capacity);
            prop_assert_eq!(cache.used_blocks(), stack.len() as u64);
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

/// The hash ids of the requests of the public trace, in order; each id names a block and all blocks before it.
fn conversation_trace() -> Vec<(u32, Vec<i64>)> {
    let text = std::fs::read_to_string(shared("mooncake/conversation_trace.jsonl")).expect("a text file");
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        let ids = row["hash_ids"].as_array().expect("a list").iter().map(|id| id.as_i64().expect("an id")).collect();
        (row["input_length"].as_u64().expect("a length") as u32, ids)
    };
    text.lines().map(row).collect()
}

/// Serves a request alone: its reused blocks, if the cache is large enough.
fn serve(cache: &mut PrefixCache, prompt: &Prompt<'_>, needed: u64) -> Option<u32> {
    let request = AdmissionRequest { prompt: *prompt, needed_blocks: needed, hint: MatchHint::NOTHING };
    let admitted = cache.admit(&request, &mut |_| ())?;
    let _ = cache.release(admitted.admission, prompt, 0);
    Some(admitted.hit_blocks)
}

/// Blocks of the cache in which the published hit rates were measured.
const PUBLISHED_CAPACITY: u64 = 10_000;

fn percent(found: u64, requests: &[(u32, Vec<i64>)]) -> String {
    let blocks: usize = requests.iter().map(|(_, ids)| ids.len()).sum();
    format!("{:.1}", 100.0 * found as f64 / blocks as f64)
}

/// Blocks found by a reference cache of chained ids in which each use ranks a block by `rank(rank before, time of this
/// use, time of the next use)`. The unfollowed block with the smallest rank is evicted first.
fn found_by_rank(requests: &[(u32, Vec<i64>)], rank: impl Fn(Option<u64>, u64, u64) -> u64) -> u64 {
    let mut next_use = HashMap::new();
    let mut next: Vec<Vec<u64>> = Vec::new();
    for (now, (_, ids)) in requests.iter().enumerate().rev() {
        next.push(ids.iter().map(|id| next_use.insert(*id, now as u64).unwrap_or(u64::MAX)).collect());
    }
    next.reverse();
    let mut cached: HashMap<i64, (u64, Option<i64>)> = HashMap::new();
    let (mut followers, mut order): (HashMap<i64, u32>, BTreeSet<(u64, i64)>) = (HashMap::new(), BTreeSet::new());
    let mut found = 0;
    for (now, ((_, ids), next)) in (1..).zip(requests.iter().zip(&next)) {
        found += ids.iter().take_while(|id| cached.contains_key(id)).count() as u64;
        let mut parent = None;
        for (id, next) in ids.iter().zip(next) {
            let before = cached.get(id).map(|(rank, _)| *rank);
            order.remove(&(before.unwrap_or(0), *id));
            let new = rank(before, now, *next);
            if cached.insert(*id, (new, parent)).is_none()
                && let Some(parent) = parent
            {
                *followers.entry(parent).or_default() += 1;
            }
            parent = Some(*id);
        }
        for id in ids.iter().filter(|id| followers.get(id).is_none_or(|count| *count == 0)) {
            order.insert((cached[id].0, *id));
        }
        for id in ids.iter().filter(|id| followers.get(id).is_some_and(|count| *count > 0)) {
            order.remove(&(cached[id].0, *id));
        }
        while cached.len() as u64 > PUBLISHED_CAPACITY {
            let (_, id) = order.pop_first().expect("a chain has an end");
            let (_, parent) = cached.remove(&id).expect("listed while it is cached");
            if let Some(parent) = parent {
                let count = followers.get_mut(&parent).expect("followed");
                *count -= 1;
                if *count == 0 {
                    order.insert((cached[&parent].0, parent));
                }
            }
        }
    }
    found
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn hit_rates_of_a_public_trace_by_policy() {
    let requests = conversation_trace();
    let mut cache = PrefixCache::new(Policy::Lru, PUBLISHED_CAPACITY, 512, 512);
    let mut found = 0;
    for (context, ids) in &requests {
        let mut stream = TokenSeq::new(512);
        stream.push_ids(ids, ids.len() as u64 * 512);
        let prompt = Prompt::of_ids(&stream, *context);
        found += u64::from(serve(&mut cache, &prompt, ids.len() as u64).expect("a prompt fits"));
    }
    assert_eq!(percent(found, &requests), "21.2");
    assert_eq!(found, found_by_rank(&requests, |_, now, _| now), "LRU");
    assert_eq!(percent(found_by_rank(&requests, |_, _, next| u64::MAX - next), &requests), "36.6", "Belady");
    // The published 18.1 is of a queue that evicts heads of chains before their tails, which then cannot be found.
    assert_eq!(percent(found_by_rank(&requests, |before, now, _| before.unwrap_or(now)), &requests), "21.1", "FIFO");
}
