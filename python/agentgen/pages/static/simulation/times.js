// A histogram of times: the twin of `Times` in rust/agentgen-analysis/src/histogram.rs. In tenths of a millisecond;
// exact below 2,048, then 1,024 buckets per octave. Mean and standard deviation are exact.

const EXACT = 2048;
const OCTAVE = EXACT / 2;

function bucketOf(tenths) {
  if (tenths < EXACT) return tenths;
  const shift = Math.floor(Math.log2(tenths)) - Math.log2(EXACT) + 1;
  return shift * OCTAVE + Math.floor(tenths / 2 ** shift);
}

/** The middle of a bucket, in tenths. */
function middle(bucket) {
  if (bucket < EXACT) return bucket;
  const shift = Math.floor(bucket / OCTAVE) - 1;
  const low = (bucket - shift * OCTAVE) * 2 ** shift;
  return low + (2 ** shift - 1) / 2;
}

export class Times {
  #buckets = new Map();
  // Integers beyond the range of a double.
  #sum = 0n;
  #squares = 0n;

  add(ms) {
    const tenths = Math.round(ms * 10);
    const bucket = bucketOf(tenths);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#sum += BigInt(tenths);
    this.#squares += BigInt(tenths) * BigInt(tenths);
  }

  /** Middles of the buckets in ms and how many times are in each, ascending. */
  counts() {
    return this.#ranks().map(([tenths, times]) => [tenths / 10, times]);
  }

  #ranks() {
    return [...this.#buckets].sort((a, b) => a[0] - b[0]).map(([bucket, times]) => [middle(bucket), times]);
  }

  /** Count, mean, standard deviation and percentiles (linear between ranks), in ms; null without times. */
  observed() {
    const ranks = this.#ranks();
    const count = ranks.reduce((sum, [, times]) => sum + times, 0);
    if (count === 0) return null;
    const variance = Number(BigInt(count) * this.#squares - this.#sum * this.#sum) / (count * count);
    const percentile = (share) => {
      const rank = share * (count - 1);
      const low = valueAt(ranks, Math.floor(rank));
      const high = valueAt(ranks, Math.ceil(rank));
      return (low + (high - low) * (rank - Math.floor(rank))) * 0.1;
    };
    return {
      count,
      mean: (Number(this.#sum) / count) * 0.1,
      std: Math.sqrt(variance) * 0.1,
      median: percentile(0.5),
      p05: percentile(0.05),
      p25: percentile(0.25),
      p75: percentile(0.75),
      p95: percentile(0.95),
      p99: percentile(0.99),
    };
  }
}

/** The value at a 0-based rank. */
function valueAt(ranks, rank) {
  let seen = 0;
  for (const [value, times] of ranks) {
    seen += times;
    if (rank < seen) return value;
  }
  return ranks.at(-1)[0];
}
