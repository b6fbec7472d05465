// The layers of a prompt: the twin of rust/agentgen-analysis/src/reuse/parts.rs and of the
// block counts of simulate/tally.rs.

/** The layers in the order of a prompt. */
export const LAYERS = ["l1", "l1_5", "l2", "carried", "history"];

/** The end of each layer of a session's prompts, in tokens. */
function tokenEnds(session, sample) {
  const first = session.turns[0][0];
  const shared = sample.l1_tokens + sample.l1_5_tokens;
  const own = session.is_continuation ? [0, first] : [first, first];
  return [sample.l1_tokens, shared, ...own, Infinity];
}

/** The end of each layer in blocks: a block belongs to the layer of its first token. */
export function layerEnds(session, sample) {
  return tokenEnds(session, sample).map((tokens) => Math.ceil(tokens / sample.block_tokens));
}

/** Adds the range [start, end) to the counts of the layers with these ends. */
export function addByLayer(counts, ends, start, end) {
  let from = start;
  for (let layer = 0; from < end; layer += 1) {
    const to = Math.max(from, Math.min(ends[layer], end));
    counts[layer] += to - from;
    from = to;
  }
}

/** Prompt tokens and hit tokens by layer. */
export class LayerTokens {
  #prompt = LAYERS.map(() => 0);
  #hit = LAYERS.map(() => 0);

  add(session, sample, contextTokens, hitTokens) {
    const ends = tokenEnds(session, sample);
    addByLayer(this.#prompt, ends, 0, contextTokens);
    addByLayer(this.#hit, ends, 0, hitTokens);
  }

  rates() {
    return LAYERS.map((layer, index) => ({
      layer,
      prompt_tokens: this.#prompt[index],
      hit_tokens: this.#hit[index],
      hit_rate: ratio(this.#hit[index], this.#prompt[index]),
    })).filter((rate) => rate.prompt_tokens > 0);
  }
}

/** `part / whole`; 0 if `whole` is 0. */
export function ratio(part, whole) {
  return whole === 0 ? 0 : part / whole;
}
