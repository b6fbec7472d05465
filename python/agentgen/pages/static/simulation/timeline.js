// The session timeline: what each slot does in a window of the virtual time.

import { el } from "../dom.js";
import { count, duration } from "../format.js";
import { lanesOf } from "./lanes.js";
import { timeUnit } from "./spec.js";

/** The most requests and slots drawn. */
const REQUESTS = 500;
const SLOTS = 50;
const SPANS_MS = [86_400_000, 21_600_000, 7_200_000, 3_600_000, 1_800_000, 600_000, 120_000, 30_000];
const PARTS = [
  ["session, between turns", "var(--c1-soft)"], ["continuation, between turns", "var(--c4)"], ["waiting", "var(--c2)"],
  ["prefill", "var(--c3)"], ["decode", "var(--c1)"],
];

/** The bars of a window. */
function barsOf({ requests }, sessions, [from, to], withRequests) {
  const bars = [];
  const bar = (session, part, start, end, detail) => {
    if (start >= to || end <= from || end <= start) return;
    const tip = { Session: count(session.number), Part: part, From: duration(start), Lasts: duration(end - start), ...detail };
    bars.push({ slot: session.lane, part, start: Math.max(start, from), end: Math.min(end, to), ...tip });
  };
  for (const session of sessions) {
    bar(session, PARTS[session.isContinuation ? 1 : 0][0], session.startMs, session.endMs, { Turn: `${session.requests.length} requests` });
    for (const index of withRequests ? session.requests : []) {
      const stamps = [requests.sentMs[index], requests.admittedMs[index], requests.firstTokenMs[index], requests.endMs[index]];
      const detail = {
        Turn: count(requests.turn[index]), Prompt: `${count(requests.contextTokens[index])} tokens`,
        Found: `${count(requests.hitTokens[index])} tokens`, Output: `${count(requests.outputTokens[index])} tokens`,
      };
      for (const part of [0, 1, 2]) bar(session, PARTS[part + 2][0], stamps[part], stamps[part + 1], detail);
    }
  }
  return bars;
}

export class Timeline {
  #lane = 0;
  #from = 0;
  #span = null;
  #result = null;

  /** `hasSlots`: whether sessions have slots, rather than lanes. `changed()` is called when another window is chosen. */
  constructor(hasSlots, changed) {
    this.hasSlots = hasSlots;
    this.span = el("select", { id: "span", onchange: () => this.#choose(changed) });
    this.from = el("input", { id: "from", type: "range", min: 0, max: 1000, value: 0, oninput: () => this.#choose(changed) });
    this.slots = el("select", { id: "slots", onchange: () => this.#choose(changed) });
    this.element = el(
      "div", { class: "controls" },
      el("label", {}, "Window", this.span), el("label", { class: "grow" }, "From", this.from), el("label", {}, hasSlots ? "Slots" : "Lanes", this.slots),
    );
  }

  #choose(changed) {
    this.#span = Number(this.span.value);
    this.#from = Number(this.from.value) / 1000;
    this.#lane = Number(this.slots.value);
    changed();
  }

  /** Takes a new result; keeps the window where possible. */
  take(result) {
    this.#result = { ...result, sessions: lanesOf(result) };
    const { duration_ms: whole } = result.figures;
    const spans = SPANS_MS.filter((ms) => ms < whole);
    const lanes = 1 + this.#result.sessions.reduce((most, { lane }) => Math.max(most, lane), 0);
    if (this.#span === null || (this.#span !== 0 && this.#span >= whole)) {
      const drawn = this.#result.sessions.filter(({ lane }) => lane < SLOTS).flatMap((session) => session.requests);
      const sentBefore = (ms) => drawn.filter((index) => result.requests.sentMs[index] < ms).length;
      this.#span = spans.find((ms) => sentBefore(ms) <= REQUESTS) ?? spans.at(-1) ?? 0;
    }
    if (this.#lane >= lanes) this.#lane = 0;
    this.span.replaceChildren(
      el("option", { value: 0 }, `all ${duration(whole)}`), ...spans.map((ms) => el("option", { value: ms }, duration(ms))),
    );
    const pages = Array.from({ length: Math.ceil(lanes / SLOTS) }, (_, page) => page * SLOTS);
    this.slots.replaceChildren(...pages.map((lane) => el("option", { value: lane }, `${lane} to ${Math.min(lane + SLOTS, lanes) - 1}`)));
    this.slots.closest("label").hidden = pages.length < 2;
    this.span.value = String(this.#span);
    this.slots.value = String(this.#lane);
  }

  /** The chart of the window. */
  definition() {
    const { figures, requests, sessions } = this.#result;
    const whole = figures.duration_ms;
    const span = this.#span || whole;
    const from = this.#from * Math.max(0, whole - span);
    this.from.disabled = span >= whole;
    this.from.setAttribute("aria-valuetext", duration(from));
    const shown = sessions.filter(
      ({ lane, startMs, endMs }) => lane >= this.#lane && lane < this.#lane + SLOTS && startMs < from + span && endMs >= from,
    );
    const inWindow = (index) => requests.sentMs[index] < from + span && requests.endMs[index] > from;
    const rows = shown.flatMap((session) => session.requests.filter(inWindow).map((index) => ({ session, index })));
    const isDetailed = rows.length <= REQUESTS;
    const bars = barsOf(this.#result, shown, [from, from + span], isDetailed);
    const ms = (column) => (row) => duration(requests[column][row.index]);
    const between = (a, b) => (row) => duration(requests[b][row.index] - requests[a][row.index]);
    return {
      id: "timeline", title: this.hasSlots ? "Sessions by slot" : "Sessions side by side", units: `${duration(from)} to ${duration(from + span)}`, wide: true,
      caption: isDetailed
        ? `${count(rows.length)} requests of ${count(shown.length)} sessions.`
        : `${count(shown.length)} sessions. Their ${count(rows.length)} requests are too many to draw: choose a shorter window to see them.`,
      spec: ({ narrow }) => this.#spec(bars, shown, [from, from + span], narrow),
      rows: rows.slice(0, REQUESTS),
      columns: [
        { label: "Session", text: (row) => count(row.session.number) },
        { label: "Slot", text: (row) => count(row.session.lane) },
        { label: "Turn", text: (row) => count(requests.turn[row.index]) },
        { label: "Sent", text: ms("sentMs") },
        { label: "Waiting", text: between("sentMs", "admittedMs") },
        { label: "Prefill", text: between("admittedMs", "firstTokenMs") },
        { label: "Decode", text: between("firstTokenMs", "endMs") },
        { label: "Prompt tokens", text: (row) => count(requests.contextTokens[row.index]) },
        { label: "Found", text: (row) => count(requests.hitTokens[row.index]) },
      ],
    };
  }

  #spec(bars, sessions, [from, to], narrow) {
    const unit = timeUnit(to);
    const values = bars.map((bar) => ({ ...bar, start: bar.start / unit.ms, end: bar.end / unit.ms }));
    const lanes = Array.from({ length: SLOTS }, (_, lane) => lane + this.#lane).filter((lane) => sessions.some((session) => session.lane >= lane));
    const parts = PARTS.filter(([name]) => bars.some(({ part }) => part === name));
    const tips = ["Session", "Turn", "Part", "From", "Lasts", "Prompt", "Found", "Output"];
    return {
      height: 90 + (narrow ? 9 : 12) * lanes.length,
      data: { values },
      mark: { type: "bar", height: { band: 0.8 }, clip: true },
      encoding: {
        x: { field: "start", type: "quantitative", title: `virtual time, ${unit.name}`, scale: { domain: [from / unit.ms, to / unit.ms], nice: false, zero: false } },
        x2: { field: "end" },
        y: {
          field: "slot", type: "ordinal", title: null, scale: { domain: lanes },
          axis: { values: lanes.filter((lane) => lane % 5 === 0), domain: false, ticks: false },
        },
        color: { field: "part", type: "nominal", scale: { domain: parts.map(([name]) => name), range: parts.map(([, color]) => color) }, legend: { columns: narrow ? 2 : 5 } },
        tooltip: tips.map((field) => ({ field })),
      },
    };
  }
}
