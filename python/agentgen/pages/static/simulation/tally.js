// Counts what happens: the twin of rust/agentgen-analysis/src/simulate/tally.rs and reuse/rates.rs. Names are those of
// `agentgen simulate --json`.

import { addByLayer, LAYERS, LayerTokens, ratio } from "./layers.js";
import { Series } from "./series.js";
import { Times } from "./times.js";
import { Turns } from "./turns.js";

const byLayer = () => LAYERS.map(() => 0);
const total = (counts) => counts.reduce((sum, count) => sum + count, 0);

export class Tally {
  #sample;
  #requests = { served: 0, failed: 0, skipped: 0 };
  #sessions = { named: 0, continuations: 0, linked: 0 };
  #counts = {
    requests: 0, blocks: 0, fullBlocks: 0, promptTokens: 0, hitBlocks: 0, hitFullBlocks: 0, hitTokens: 0, outputTokens: 0,
    requestRatios: 0, sessions: 0, sessionRatios: 0,
  };
  #layers = new LayerTokens();
  #turns = new Turns();
  #ttft = new Times();
  #queueing = new Times();
  #latency = new Times();
  #added = byLayer();
  #refetched = byLayer();
  #evicted = byLayer();
  #state = {
    resident_blocks: 0, pinned_blocks: 0, reserved_blocks: 0, queued: 0, running: 0, tokens_in_flight: 0, open_sessions: 0,
  };
  #peaks = { blocks: 0, runningBlocks: 0, running: 0, queued: 0, openSessions: 0 };
  #series = new Series();

  constructor(sample) {
    this.#sample = sample;
  }

  /** Moves time on to the next event. */
  advance(timeMs) {
    this.#series.advance(timeMs, this.#state);
  }

  started(session) {
    if (!session.by_ids) {
      this.#sessions.named += 1;
      this.#sessions.continuations += session.is_continuation ? 1 : 0;
      this.#sessions.linked += session.parent === null ? 0 : 1;
    }
    this.#state.open_sessions += 1;
    this.#peaks.openSessions = Math.max(this.#peaks.openSessions, this.#state.open_sessions);
  }

  finished(session) {
    this.#state.open_sessions -= 1;
    if (session.promptTokens === 0) return;
    this.#counts.sessions += 1;
    this.#counts.sessionRatios += ratio(session.hitTokens, session.promptTokens);
  }

  /** A request fails; `skipped` later turns of its session are never sent. */
  failed(skipped) {
    this.#requests.failed += 1;
    this.#requests.skipped += skipped;
  }

  queued() {
    this.#state.queued += 1;
    this.#peaks.queued = Math.max(this.#peaks.queued, this.#state.queued);
  }

  admitted({ session, turn, prompt, hitBlocks, hitTokens }) {
    const counts = this.#counts;
    counts.requests += 1;
    counts.blocks += Math.ceil(prompt.contextTokens / this.#sample.block_tokens);
    counts.fullBlocks += prompt.fullBlocks;
    counts.promptTokens += prompt.contextTokens;
    counts.hitBlocks += hitBlocks;
    counts.hitFullBlocks += Math.min(hitBlocks, prompt.fullBlocks);
    counts.hitTokens += hitTokens;
    counts.requestRatios += ratio(hitTokens, prompt.contextTokens);
    session.promptTokens += prompt.contextTokens;
    session.hitTokens += hitTokens;
    if (!session.by_ids) {
      this.#layers.add(session, this.#sample, prompt.contextTokens, hitTokens);
      this.#turns.admitted(turn, prompt.contextTokens, hitTokens);
    }
    const { flow } = this.#series;
    flow.requests += 1;
    flow.prompt_tokens += prompt.contextTokens;
    flow.hit_tokens += hitTokens;
    this.#state.queued -= 1;
    this.#state.running += 1;
    this.#state.tokens_in_flight += prompt.contextTokens + prompt.outputTokens;
    this.#peaks.running = Math.max(this.#peaks.running, this.#state.running);
  }

  ended({ turn, prompt, session, sentMs, admittedMs, firstTokenMs, endMs }) {
    this.#requests.served += 1;
    this.#counts.outputTokens += prompt.outputTokens;
    this.#state.running -= 1;
    this.#state.tokens_in_flight -= prompt.contextTokens + prompt.outputTokens;
    this.#ttft.add(firstTokenMs - sentMs);
    this.#queueing.add(admittedMs - sentMs);
    this.#latency.add(endMs - sentMs);
    if (!session.by_ids) this.#turns.ended(turn, firstTokenMs - sentMs, admittedMs - sentMs);
  }

  /** Blocks [start, end) of a session's chain came into the cache; those before `unseen` had been in it before. */
  added(session, start, unseen, end) {
    addByLayer(this.#added, session.layerEnds, start, end);
    addByLayer(this.#refetched, session.layerEnds, start, unseen);
    this.#series.flow.refetched_blocks += unseen - start;
  }

  evicted(session, start, end) {
    addByLayer(this.#evicted, session.layerEnds, start, end);
    this.#series.flow.evicted_blocks += end - start;
  }

  /** The cache has changed. */
  changed(cache) {
    const [state, peaks] = [this.#state, this.#peaks];
    state.resident_blocks = cache.residentBlocks;
    state.pinned_blocks = cache.pinnedBlocks;
    state.reserved_blocks = cache.reservedBlocks;
    peaks.blocks = Math.max(peaks.blocks, cache.residentBlocks + cache.reservedBlocks);
    peaks.runningBlocks = Math.max(peaks.runningBlocks, cache.pinnedBlocks + cache.reservedBlocks);
  }

  ttftCounts() {
    return this.#ttft.counts();
  }

  figures(capacityBlocks) {
    const [counts, peaks, means] = [this.#counts, this.#peaks, this.#series.means()];
    const layer = (name, index) => ({
      layer: name,
      added: this.#added[index],
      refetched: this.#refetched[index],
      evicted: this.#evicted[index],
    });
    return {
      duration_ms: this.#series.durationMs,
      sessions: this.#sessions.named,
      continuations: this.#sessions.continuations,
      linked_continuations: this.#sessions.linked,
      requests: this.#requests,
      hit_rates: {
        block_references: ratio(counts.hitBlocks, counts.blocks),
        full_blocks: ratio(counts.hitFullBlocks, counts.fullBlocks),
        token_weighted: ratio(counts.hitTokens, counts.promptTokens),
        request_mean: ratio(counts.requestRatios, counts.requests),
        session_mean: this.#sessions.named > 0 ? ratio(counts.sessionRatios, counts.sessions) : null,
      },
      prompt_tokens: counts.promptTokens,
      hit_tokens: counts.hitTokens,
      output_tokens: counts.outputTokens,
      hit_blocks: counts.hitBlocks,
      times: { ttft: this.#ttft.observed(), queueing: this.#queueing.observed(), latency: this.#latency.observed() },
      blocks: {
        added: total(this.#added),
        refetched: total(this.#refetched),
        evicted: total(this.#evicted),
        resident: this.#state.resident_blocks,
      },
      blocks_by_layer: this.#sessions.named > 0 ? LAYERS.map(layer).filter((one) => one.added > 0) : [],
      occupancy: {
        capacity_blocks: capacityBlocks,
        mean_resident_blocks: means.resident_blocks,
        mean_pinned_blocks: means.pinned_blocks,
        mean_reserved_blocks: means.reserved_blocks,
        peak_blocks: peaks.blocks,
        peak_running_blocks: peaks.runningBlocks,
        mean_running: means.running,
        peak_running: peaks.running,
        peak_queued: peaks.queued,
        peak_open_sessions: peaks.openSessions,
      },
      by_layer: this.#layers.rates(),
      by_turn: this.#turns.figures(),
      series: this.#series.points(),
    };
  }
}
