// A request as a bar: prompt tokens by layer, cached solid and computed striped, then output tokens.

import { el } from "../dom.js";
import { count, percent } from "../format.js";

export const PARTS = [
  ["L1", "L1: shared by all sessions", "c1"], ["L1.5", "L1.5: shared by a group", "c3"], ["L2", "L2: rest of the first prompt", "c5"],
  ["carried", "carried over by a restart", "c4"], ["history", "history: earlier turns and outputs", "c6"], ["new", "new in this turn", "c2"],
];

// Indices of the numbers of a turn.
export function readTurn([start, end, delay, output, tokens, cached]) {
  const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
  const prompt = sum(tokens);
  const hit = sum(cached);
  return { start, end, delay, output, tokens, cached, prompt, hit, computed: prompt - hit };
}

function piece(color, kind, tokens, scale, title) {
  const segment = el("span", { class: `piece ${kind}`, title });
  segment.style.width = `${(100 * tokens) / scale}%`;
  segment.style.setProperty("--layer", `var(--${color})`);
  return segment;
}

// `scale`: tokens for the full width.
export function bar(turn, scale) {
  const pieces = PARTS.flatMap(([name, , color], index) => {
    const [all, cached] = [turn.tokens[index], turn.cached[index]];
    const title = `${name}: ${count(all)} tokens, ${count(cached)} of them cached`;
    return [cached ? piece(color, "cached", cached, scale, title) : null, all - cached ? piece(color, "computed", all - cached, scale, title) : null];
  });
  const output = turn.output ? piece("ink", "output", turn.output, scale, `output: ${count(turn.output)} tokens`) : null;
  const label = `prompt ${count(turn.prompt)} tokens, ${percent(turn.prompt ? turn.hit / turn.prompt : 0)} cached, output ${count(turn.output)}`;
  return el("span", { class: "bar", role: "img", "aria-label": label }, pieces, output);
}

// The legend of the layers that occur.
export function legend(sessions) {
  const used = PARTS.filter((part, index) => sessions.some((session) => session.turns.some((turn) => turn.tokens[index] > 0)));
  const key = (kind, color, text) => {
    const sample = el("span", { class: `key piece ${kind}`, "aria-hidden": "true" });
    sample.style.setProperty("--layer", `var(--${color})`);
    return el("li", {}, sample, text);
  };
  return el("ul", { class: "legend", id: "legend" }, used.map(([, text, color]) => key("cached", color, text)), key("output", "ink", "output"), key("computed", "c6", "striped: not cached, computed"));
}
