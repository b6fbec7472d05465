// One session, request by request.

import { el, facts, numbers } from "../dom.js";
import { NONE, count, duration, percent } from "../format.js";
import { PARTS, bar } from "./bars.js";

function sinceText(first, origin) {
  const gap = first.start - origin.turns.at(-1).end;
  return gap > 0 ? ` ${duration(gap)} after its parent ended` : " when its parent ended";
}

function carriedText(session, origin) {
  const [first] = session.turns;
  if (!first) return NONE;
  const [tokens, cached] = [first.tokens[3], first.cached[3]];
  return `${count(tokens)} tokens carried over, ${count(cached)} of them still cached${origin ? sinceText(first, origin) : ""}`;
}

function keptText(session, origin) {
  const before = origin?.turns.at(-1)?.prompt;
  return `${count(session.kept_tokens)}${before ? ` of ${count(before)}` : ""} tokens`;
}

function joinText(session) {
  return `turn ${session.parent_turn}; ${session.join_turn === undefined ? "it runs in the background" : `turn ${session.join_turn} waits for it`}`;
}

// `go` shows another session, `back` returns to the list; `continuedBy` are the continuations of this session, `linked` its breaks and
// sub-agents.
export function detail(session, { origin, continuedBy, linked, go, back }) {
  const link = (other) => el("a", { href: `#session-${other.number}`, onclick: (event) => { event.preventDefault(); go(other.number); } }, other.name);
  const shown = [
    ["Requests", count(session.turn_count)], ["Group", session.group_id === null ? NONE : String(session.group_id)], ["Ended by", session.end_reason ?? NONE],
    ["On the timeline", `from ${duration(session.start)} to ${duration(session.end)}`], ["Cached share of prompts", percent(session.rate)], ["Computed", `${count(session.computed)} tokens`],
  ];
  if (session.is_continuation) shown.push(["Continues", origin ? link(origin) : "a session missing from the trace"], ["Carried over", carriedText(session, origin)]);
  const parent = origin ? link(origin) : "a session missing from the trace";
  if (session.kind === "break") shown.push(["Break of", parent], ["Kept of its last prompt", keptText(session, origin)], ["Lost", `${count(session.lost)} tokens`]);
  if (session.kind === "sub-agent") shown.push(["Sub-agent of", parent], ["Started by", joinText(session)]);
  if (linked.length) shown.push(["Breaks and sub-agents", linked.map((other, index) => el("span", {}, index ? ", " : "", link(other)))]);
  if (continuedBy.length) shown.push(["Continued by", continuedBy.map((other, index) => el("span", {}, index ? ", " : "", link(other)))]);
  const scale = Math.max(1, ...session.turns.map((turn) => turn.prompt + turn.output));
  const row = (turn, index) => el(
    "li", {}, el("span", { class: "when" }, el("b", {}, `Turn ${index}`), el("span", {}, ` at ${duration(turn.start)}${turn.delay === null ? "" : `, after ${duration(turn.delay)}`}`)),
    bar(turn, scale),
    el("span", { class: "what" }, `${count(turn.prompt)} tokens, ${percent(turn.prompt ? turn.hit / turn.prompt : 0)} cached, ${count(turn.computed)} computed, output ${count(turn.output)}`),
  );
  const columns = [
    { label: "Turn", text: (turn) => count(turn.index) }, { label: "Start", text: (turn) => duration(turn.start) }, { label: "Delay", text: (turn) => duration(turn.delay) }, { label: "Prompt", text: (turn) => count(turn.prompt) },
    ...PARTS.flatMap(([name], index) => (session.turns.some((turn) => turn.tokens[index] > 0) ? [
      { label: name, text: (turn) => count(turn.tokens[index]) }, { label: `${name} cached`, text: (turn) => count(turn.cached[index]) },
    ] : [])),
    { label: "Output", text: (turn) => count(turn.output) },
  ];
  const missing = session.turn_count - session.turns.length;
  return el(
    "article", { "aria-labelledby": "detail-title" }, el("h2", { id: "detail-title", tabindex: "-1" }, el("bdi", {}, session.name)),
    el("button", { type: "button", class: "back", onclick: back }, "Back to the sessions"), facts(shown),
    missing > 0 ? el("p", { class: "callout" }, `The first ${count(session.turns.length)} of its ${count(session.turn_count)} requests.`) : null,
    el("ol", { class: "turns" }, session.turns.map(row)),
    numbers("Tokens of each request by layer", columns, session.turns.map((turn, index) => ({ ...turn, index }))),
  );
}
