// The tokens of a prompt, named by their origin: the twin of rust/agentgen-engine/src/kv/token_seq.rs.
//
// A piece is [source, offset, tokens]: `tokens` tokens from token `offset` of hash id `source` on, through the ids that
// follow it; or, where `source` is negative, from position `offset` of session -1 - source, whose tokens only it has.

/** The rest of a piece after its first `n` tokens; null if none is left. */
function after([source, offset, tokens], n, idTokens) {
  if (n >= tokens) return null;
  if (source < 0) return [source, offset + n, tokens - n];
  const at = offset + n;
  return [source + Math.floor(at / idTokens), at % idTokens, tokens - n];
}

/** A list of pieces that can be cut anywhere. Consecutive pieces are joined. */
export class Tokens {
  #starts = [];

  constructor(pieces, idTokens) {
    this.pieces = pieces;
    this.idTokens = idTokens;
    this.length = 0;
    for (const piece of pieces) {
      this.#starts.push(this.length);
      this.length += piece[2];
    }
  }

  /** The tokens [from, to), as a list of its own. */
  slice(from, to) {
    const taken = [];
    for (let i = this.#pieceAt(from); i < this.pieces.length && this.#starts[i] < to; i += 1) {
      const start = this.#starts[i];
      const rest = start < from ? after(this.pieces[i], from - start, this.idTokens) : this.pieces[i];
      const n = to - Math.max(start, from);
      if (rest) taken.push(n < rest[2] ? [rest[0], rest[1], n] : rest);
    }
    return new Tokens(taken, this.idTokens);
  }

  /** These tokens and then `others`. */
  concat(others) {
    const joined = this.pieces.slice();
    const first = others.pieces[0];
    const last = joined.at(-1);
    const next = first && last && after([last[0], last[1], last[2] + 1], last[2], this.idTokens);
    if (next && next[0] === first[0] && next[1] === first[1]) {
      joined[joined.length - 1] = [last[0], last[1], last[2] + first[2]];
      return new Tokens(joined.concat(others.pieces.slice(1)), this.idTokens);
    }
    return new Tokens(joined.concat(others.pieces), this.idTokens);
  }

  /** How many tokens both have in common from their beginning. */
  common(others) {
    const [a, b] = [this.pieces, others.pieces];
    let [i, j, same] = [0, 0, 0];
    let [x, y] = [a[0], b[0]];
    while (x && y && x[0] === y[0] && x[1] === y[1]) {
      const n = Math.min(x[2], y[2]);
      same += n;
      x = after(x, n, this.idTokens) ?? a[++i];
      y = after(y, n, this.idTokens) ?? b[++j];
    }
    return same;
  }

  /** A string that identifies the tokens. */
  key() {
    return this.pieces.join(" ");
  }

  /** Index of the piece that holds token `position`. */
  #pieceAt(position) {
    let [low, high] = [0, this.#starts.length];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] <= position) low = middle;
      else high = middle;
    }
    return low;
  }
}
