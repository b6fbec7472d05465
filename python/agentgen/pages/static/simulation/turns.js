// Requests by turn: the twin of `TurnFigures` in rust/agentgen-analysis/src/simulate.

import { ratio } from "./layers.js";

/** Turns from this one on share one entry. */
const LAST_TURN = 1023;

export class Turns {
  #turns = [];

  admitted(turn, contextTokens, hitTokens) {
    const figures = this.#at(turn);
    figures.requests += 1;
    figures.promptTokens += contextTokens;
    figures.hitTokens += hitTokens;
  }

  ended(turn, ttftMs, queueingMs) {
    const figures = this.#at(turn);
    figures.ttftMs += ttftMs;
    figures.queueingMs += queueingMs;
  }

  figures() {
    return this.#turns.map((turn, index) => ({
      turn_index: index,
      requests: turn.requests,
      prompt_tokens: turn.promptTokens,
      hit_tokens: turn.hitTokens,
      hit_rate: ratio(turn.hitTokens, turn.promptTokens),
      mean_ttft_ms: turn.ttftMs / turn.requests,
      mean_queueing_ms: turn.queueingMs / turn.requests,
    }));
  }

  #at(turn) {
    const index = Math.min(turn, LAST_TURN);
    while (this.#turns.length <= index) {
      this.#turns.push({ requests: 0, promptTokens: 0, hitTokens: 0, ttftMs: 0, queueingMs: 0 });
    }
    return this.#turns[index];
  }
}
