// A golden simulation (tests/golden/simulation) as the page's simulator takes it. Runs under Node and in the page.

export function twinOf(golden) {
  const { settings } = golden;
  const session = (stated) => ({
    number: stated.number,
    parent: stated.parent,
    is_continuation: stated.is_continuation,
    by_ids: false,
    arrival_ms: stated.start_ms,
    turns: stated.turns.map((turn) => [turn.context_tokens, turn.output_tokens, turn.delay_ms]),
    streams: stated.streams.map(({ first_turn: first, runs }) => [first, runs]),
  });
  return {
    sample: {
      block_tokens: settings.block_tokens,
      id_tokens: settings.id_tokens,
      cached_outputs: settings.cached_outputs,
      clock: settings.clock,
      l1_tokens: settings.layer1_tokens,
      l1_5_tokens: settings.layer1_5_tokens,
      sessions: golden.sessions.map(session),
    },
    settings: {
      concurrency: settings.concurrency,
      prefillRate: settings.prefill_tokens_per_second,
      decodeRate: settings.decode_tokens_per_second,
      capacityBlocks: settings.capacity_blocks,
    },
  };
}
