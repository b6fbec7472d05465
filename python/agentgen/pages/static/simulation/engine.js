// The simulation: one replica, LRU, no TTL. docs/simulator.md defines the model; rust/agentgen-engine/src/serving is the
// reference, and this gives the same numbers to the last bit. All times are ms.

import { PrefixCache } from "./cache.js";
import { END, Events, PREFILLED, SEND } from "./events.js";
import { layerEnds } from "./layers.js";
import { contentOf, promptOf } from "./prompts.js";
import { Tally } from "./tally.js";
import { Tree } from "./tree.js";

/** The sessions of a sample on a server with `settings`: concurrency, prefillRate, decodeRate, capacityBlocks. */
export class Simulation {
  #sample;
  #settings;
  #cache;
  /** Every chain that was ever in the cache. */
  #seen;
  #tally;
  #events = new Events();
  /** Index of the next session to start. */
  #next = 0;
  #byNumber;
  /** By session number: the continuations that start when that session ends. */
  #waiting = new Map();
  /** Requests in the order of sending; those from `#head` on wait. */
  #queue = [];
  #head = 0;
  #isPrefilling = false;

  constructor(sample, settings) {
    this.#sample = sample;
    this.#settings = settings;
    this.#tally = new Tally(sample);
    const evicted = (session, start, end) => this.#tally.evicted(session, start, end);
    this.#cache = new PrefixCache(settings.capacityBlocks, sample.id_tokens, sample.block_tokens, evicted);
    this.#seen = new Tree(sample.id_tokens, sample.block_tokens);
    this.sessions = sample.sessions.map((session) => ({
      ...session,
      content: contentOf(session, sample),
      layerEnds: layerEnds(session, sample),
      turn: 0,
      request: null,
      slot: -1,
      startMs: NaN,
      endMs: NaN,
      promptTokens: 0,
      hitTokens: 0,
    }));
    this.#byNumber = new Map(this.sessions.map((session) => [session.number, session]));
    /** All requests in the order of sending. */
    this.requests = [];
    for (let slot = 0; sample.clock === "closed" && slot < settings.concurrency; slot += 1) this.#startNext(0, slot);
  }

  /** Handles at most `limit` events; returns whether there are more. */
  step(limit) {
    for (let n = 0; n < limit; n += 1) {
      this.#startArrived();
      if (this.#events.size === 0) return false;
      const { time, kind, session } = this.#events.pop();
      this.#tally.advance(time);
      if (kind === SEND) this.#send(this.#byNumber.get(session), time);
      else if (kind === PREFILLED) this.#prefilled(this.#byNumber.get(session).request, time);
      else this.#end(this.#byNumber.get(session).request, time);
    }
    return true;
  }

  /** The share of the sessions that have ended. */
  get progress() {
    return this.sessions.length === 0 ? 1 : this.sessions.filter(({ endMs }) => endMs >= 0).length / this.sessions.length;
  }

  figures() {
    return this.#tally.figures(this.#settings.capacityBlocks);
  }

  /** Times to first token in ms, and how many requests had each. */
  ttftCounts() {
    return this.#tally.ttftCounts();
  }

  /** Starts the sessions that arrive no later than the next event. */
  #startArrived() {
    if (this.#sample.clock === "closed") return;
    const arrives = () => this.sessions[this.#next]?.arrival_ms ?? Infinity;
    while (this.#next < this.sessions.length && arrives() <= this.#events.nextTime) this.#startNext(0, this.#next);
  }

  /** The next session takes a slot; a continuation waits there for the end of its parent. */
  #startNext(now, slot) {
    const session = this.sessions[this.#next];
    if (!session) return;
    this.#next += 1;
    this.#tally.started(session);
    session.slot = slot;
    session.startMs = Math.max(now, session.arrival_ms);
    const parent = this.#byNumber.get(session.parent);
    if (!parent) {
      this.#schedule(session, session.startMs);
    } else if (parent.endMs >= 0) {
      this.#schedule(session, Math.max(session.startMs, parent.endMs));
    } else {
      this.#waiting.set(parent.number, [...(this.#waiting.get(parent.number) ?? []), session]);
    }
  }

  /** Schedules the session's next request; `ready` is the start of the session, or the end of its previous request. */
  #schedule(session, ready) {
    const ms = session.turns[session.turn][2];
    const isRecorded = this.#sample.clock === "recorded" && session.turn > 0;
    this.#events.push(isRecorded ? Math.max(ms, ready) : ready + ms, SEND, session.number);
  }

  #send(session, now) {
    const prompt = promptOf(session, session.turn, this.#sample);
    const request = {
      session, turn: session.turn, prompt, sentMs: now, admittedMs: NaN, firstTokenMs: NaN, endMs: NaN,
      failed: prompt.neededBlocks > this.#settings.capacityBlocks, hitBlocks: 0, hitTokens: 0, admission: null,
    };
    this.requests.push(request);
    session.request = request;
    session.turn += 1;
    if (request.failed) {
      this.#tally.failed(session.turns.length - session.turn);
      this.#finish(session, now);
    } else {
      this.#queue.push(request);
      this.#tally.queued();
      this.#admit(now);
    }
  }

  /** Admits the first waiting request, if the prefill unit is free and there is room; no other overtakes it. */
  #admit(now) {
    const request = this.#queue[this.#head];
    if (!request || this.#isPrefilling) return;
    const { prompt, session } = request;
    const admission = this.#cache.admit(prompt);
    if (!admission) return;
    this.#head += 1;
    this.#isPrefilling = true;
    request.admission = admission;
    request.admittedMs = now;
    request.hitBlocks = admission.hitBlocks;
    request.hitTokens = Math.min(admission.hitBlocks * this.#sample.block_tokens, prompt.contextTokens);
    this.#tally.admitted(request);
    this.#added(request, admission.foundBlocks, admission.heldBlocks);
    const prefillMs = ((prompt.contextTokens - request.hitTokens) / this.#settings.prefillRate) * 1000;
    this.#events.push(now + prefillMs, PREFILLED, session.number);
  }

  /** The prefill ends: the first token is there. */
  #prefilled(request, now) {
    request.firstTokenMs = now;
    const decodeMs = (request.prompt.outputTokens / this.#settings.decodeRate) * 1000;
    this.#events.push(now + decodeMs, END, request.session.number);
    this.#isPrefilling = false;
    this.#admit(now);
  }

  #end(request, now) {
    const { prompt, session } = request;
    request.endMs = now;
    const { foundBlocks, keptBlocks } = this.#cache.release(request.admission, prompt, session);
    this.#added(request, foundBlocks, keptBlocks);
    this.#tally.ended(request);
    if (session.turn < session.turns.length) this.#schedule(session, now);
    else this.#finish(session, now);
    this.#admit(now);
  }

  /** Blocks [start, end) of a request's chain came into the cache. */
  #added({ prompt, session }, start, end) {
    if (start < end) {
      const found = this.#seen.find(prompt.tokens, end);
      this.#seen.grow(found, prompt.tokens, end, () => true, () => {});
      this.#tally.added(session, start, found.blocks, end);
    }
    this.#tally.changed(this.#cache);
  }

  /** A session has ended: its continuations start, and its slot takes the next session. */
  #finish(session, now) {
    session.endMs = now;
    this.#tally.finished(session);
    for (const child of this.#waiting.get(session.number) ?? []) this.#schedule(child, Math.max(child.startMs, now));
    this.#waiting.delete(session.number);
    if (this.#sample.clock === "closed") this.#startNext(now, session.slot);
  }
}
