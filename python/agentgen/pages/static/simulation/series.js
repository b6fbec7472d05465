// The course of a simulation as a bounded number of equal parts: the twin of rust/agentgen-analysis/src/simulate/series.rs.

/** The most parts; beyond it pairs are merged and each part is twice as long. */
const PARTS = 512;

/** Length of the shortest part; a power of two, so that times stay exact. */
const SHORTEST_MS = 0.0625;

/** Sums of what happens in a part, and the state at a moment (a part has its mean). */
export const FLOWS = ["requests", "prompt_tokens", "hit_tokens", "evicted_blocks", "refetched_blocks"];
export const GAUGES = [
  "resident_blocks", "pinned_blocks", "reserved_blocks", "queued", "running", "tokens_in_flight", "open_sessions",
];

function part() {
  const flow = Object.fromEntries(FLOWS.map((name) => [name, 0]));
  // Integral of each gauge over the part.
  return { flow, areas: GAUGES.map(() => 0) };
}

/** The sum of one part or two. */
function merged([first, second]) {
  if (second) {
    for (const name of FLOWS) first.flow[name] += second.flow[name];
    second.areas.forEach((area, gauge) => (first.areas[gauge] += area));
  }
  return first;
}

function mean(area, durationMs) {
  return durationMs > 0 ? area / durationMs : 0;
}

export class Series {
  #startMs = null;
  #spacingMs = SHORTEST_MS;
  #parts = [part()];
  /** From the first request to now. */
  durationMs = 0;

  /** The sums of the current part. */
  get flow() {
    return this.#parts.at(-1).flow;
  }

  /** Moves time on; `state` has the gauges since the last call. */
  advance(timeMs, state) {
    this.#startMs ??= timeMs;
    const until = timeMs - this.#startMs;
    while (this.durationMs < until) {
      const end = this.#parts.length * this.#spacingMs;
      if (end > this.durationMs) {
        const to = Math.min(end, until);
        const lasted = to - this.durationMs;
        const { areas } = this.#parts.at(-1);
        GAUGES.forEach((name, gauge) => (areas[gauge] += state[name] * lasted));
        this.durationMs = to;
      }
      if (this.durationMs >= end) this.#nextPart(until);
    }
  }

  /** Begins the next part, after merging parts until `until` fits. */
  #nextPart(until) {
    while (until / this.#spacingMs >= PARTS) {
      this.#spacingMs *= 2;
      const pairs = this.#parts.length / 2;
      this.#parts = Array.from({ length: Math.ceil(pairs) }, (_, i) => merged(this.#parts.slice(2 * i, 2 * i + 2)));
    }
    if (this.#parts.length * this.#spacingMs <= this.durationMs) this.#parts.push(part());
  }

  /** Means of the gauges over all of the time. */
  means() {
    const areas = GAUGES.map(() => 0);
    for (const one of this.#parts) one.areas.forEach((area, gauge) => (areas[gauge] += area));
    return Object.fromEntries(GAUGES.map((name, gauge) => [name, mean(areas[gauge], this.durationMs)]));
  }

  points() {
    return this.#parts.map(({ flow, areas }, index) => {
      const timeMs = index * this.#spacingMs;
      const lasted = Math.min(this.#spacingMs, this.durationMs - timeMs);
      const gauges = GAUGES.map((name, gauge) => [name, mean(areas[gauge], lasted)]);
      const rate = flow.requests > 0 ? (flow.prompt_tokens === 0 ? 0 : flow.hit_tokens / flow.prompt_tokens) : null;
      return { time_ms: timeMs, ...flow, hit_rate: rate, ...Object.fromEntries(gauges) };
    });
  }
}
