// A request as the cache sees it: the twin of rust/agentgen-engine/src/kv/prompt.rs.

import { Tokens } from "./tokens.js";

/** The content of a session: lists of tokens, each with the first turn that has it. */
export function contentOf(session, sample) {
  return session.streams.map(([firstTurn, pieces]) => ({ firstTurn, tokens: new Tokens(pieces, sample.id_tokens) }));
}

/** The prompt of a turn, in blocks. */
export function promptOf(session, turn, sample) {
  const [contextTokens, outputTokens] = session.turns[turn];
  const block = sample.block_tokens;
  const { tokens } = session.content.findLast((part) => part.firstTurn <= turn);
  const neededBlocks = Math.ceil((contextTokens + outputTokens) / block);
  const fullBlocks = Math.floor(contextTokens / block);
  if (session.by_ids && sample.id_tokens === block) {
    // Only ids are known: each is a block, a partial one too, and all may be reused.
    const blocks = tokens.length / block;
    return { tokens, contextTokens, outputTokens, neededBlocks, fullBlocks, reusableBlocks: blocks, keptBlocks: blocks };
  }
  // The last token of a prompt is always computed, and the last sampled token has no KV. Without session names, nothing
  // tells what the tokens of an output are.
  const keptOutput = sample.cached_outputs && !session.by_ids ? Math.max(outputTokens - 1, 0) : 0;
  return {
    tokens,
    contextTokens,
    outputTokens,
    neededBlocks,
    fullBlocks,
    reusableBlocks: Math.floor(Math.max(contextTokens - 1, 0) / block),
    keptBlocks: Math.floor((contextTokens + keptOutput) / block),
  };
}
