// Distributions, and the course of sessions: contexts, ends, groups.

import { AXIS, COLORS, figure } from "../chart.js";
import { el, section, table } from "../dom.js";
import { count, duration, percent } from "../format.js";
import { IN_QUALITY, METRICS } from "./made.js";
import { axisFor, bandChart, barChart, histogram, lineChart } from "./plots.js";

const COMPONENTS = { agentic: "before tool results", human: "before a person's request" };

function total(counts) {
  return counts.reduce((sum, number) => sum + number, 0);
}

// Histogram bins as rows; the first edge on a logarithmic axis must not be 0.
function bins({ edges, counts, expected }, format) {
  const all = total(counts);
  const start = edges[0] > 0 ? edges[0] : edges[1] / 2;
  return counts.map((number, index) => {
    const whole = edges[index + 1] - edges[index] === 1 && format === count;
    return {
      from: index === 0 ? start : edges[index], to: edges[index + 1], count: number, share: number / all, target: expected.target?.[index] ?? null,
      t0: whole ? format(edges[index]) : `${format(edges[index])} to below ${format(edges[index + 1])}`, t1: count(number), t2: percent(number / all), t3: percent(expected.target?.[index] ?? null),
    };
  });
}

// A line over bins: a point at the start of each, and one at the end of the last.
function outline(name, rows, shares, style) {
  const points = rows.map((row, index) => ({ x: row.from, y: shares[index] }));
  return { name, ...style, points: [...points, { x: rows.at(-1).to, y: shares.at(-1) }] };
}

function distribution(name, known, labels, sampled) {
  const [title, unit, format] = METRICS[name];
  const all = known.map(({ histogram: of, label, color }) => ({ label, of, color, rows: bins(of, format) }));
  const [first] = all;
  const kind = unit === "time" ? "duration" : "short";
  const low = Math.min(...all.map((one) => one.rows[0].from));
  const high = Math.max(...all.map((one) => one.rows.at(-1).to));
  const several = labels.length > 1;
  const expected = several ? {} : first.of.expected;
  const overlays = all.slice(1).map((one) => outline(one.label, one.rows, one.rows.map((row) => row.share), { color: one.color }));
  if (expected.target) overlays.push(outline("target", first.rows, expected.target, { color: "var(--ink)", dash: [1, 0] }));
  for (const [index, part] of ["agentic", "human"].entries()) {
    if (expected[part]) overlays.push(outline(COMPONENTS[part], first.rows, expected[part], { color: COLORS[index + 1], dash: [5, 3] }));
  }
  const notes = {
    new_tokens_per_turn: "The target is the distribution before the context limit drops turns.",
    generation_length: "The target is the distribution of all outputs.",
    initial_context: "Includes the shared layers.",
    inter_turn_delay_ms: expected.target
      ? "Delays are a mixture of two distributions, dashed; their sum is the target. A trace does not tell the two kinds apart."
      : "No target: the configuration shortens delays with growing contexts, or it is unknown.",
  };
  return figure({
    id: `distribution-${name}`, title, units: `share of ${name === "turns_per_session" ? "sessions" : name.startsWith("initial") ? "first prompts" : name === "inter_turn_delay_ms" ? "delays" : "requests"} in each bin`,
    caption: sampled ?? (several ? (all.length === 1 ? `Only ${first.label} has values.` : null) : notes[name]) ?? (low > 0 && unit !== "turns" && high / low > 8 ? "Bins have equal width on a logarithmic axis." : null),
    spec: histogram({
      bars: first.rows, overlays, name: several ? first.label : "observed", color: first.color, x: unit === "turns" && high <= 101 ? axisFor(0, high, kind, unit) : axisFor(low, high, kind, unit === "time" ? null : unit),
      tips: ["Bin", "Values", "Share", ...(expected.target ? ["Target"] : [])],
    }),
    columns: [
      ...(several ? [{ label: "Trace", left: true, text: (row) => row.label }] : []),
      { label: `From, ${unit}`, text: (row) => row.t0 }, { label: "Values", text: (row) => row.t1 }, { label: "Share", text: (row) => row.t2 },
      ...(expected.target ? [{ label: "Target", text: (row) => row.t3 }] : []),
      ...["agentic", "human"].filter((part) => expected[part]).map((part) => ({ label: COMPONENTS[part], text: (row) => percent(row[part]) })),
    ],
    rows: all.flatMap((one) => one.rows.map((row, index) => ({ ...row, label: one.label, agentic: expected.agentic?.[index], human: expected.human?.[index] }))),
  });
}

// Histograms of the whole run if only part of the trace was analyzed, or else of the analysis.
function histogramOf(name, trace, run, cut) {
  const exact = cut ? run?.quality?.histograms?.[IN_QUALITY[name] ?? name] : null;
  return exact ?? trace.histograms[name];
}

// Whether a histogram covers only the sessions analyzed.
function isSampled(name, run, cut) {
  return cut && !run?.quality?.histograms?.[IN_QUALITY[name] ?? name];
}

export function distributions({ traces, runs, cut, labels, sample }) {
  const figures = Object.keys(METRICS).map((name) => {
    const known = traces.map((trace, index) => ({ label: labels[index], color: COLORS[index], histogram: histogramOf(name, trace, runs[index], cut[index]) })).filter((one) => one.histogram);
    const sampled = traces.some((trace, index) => isSampled(name, runs[index], cut[index]));
    return known.length ? distribution(name, known, labels, sampled ? `First ${count(sample)} sessions only.` : null) : null;
  });
  return section("distributions", "Distributions", el("div", { class: "figures" }, figures));
}

function contextByTurn({ traces, labels }) {
  const series = traces.map((trace, index) => ({
    name: labels[index], color: COLORS[index],
    points: trace.context_by_turn.map((row) => ({
      x: row.turn_index, low: row.p10, middle: row.median, high: row.p90,
      t0: count(row.turn_index), t1: count(Math.round(row.p10)), t2: count(Math.round(row.median)), t3: count(Math.round(row.p90)), t4: count(row.requests), label: labels[index],
    })),
  })).filter((one) => one.points.length > 1);
  if (!series.length) return null;
  const last = Math.max(...series.map((one) => one.points.length - 1));
  return figure({
    id: "context-by-turn", title: "Prompt by turn index", units: "tokens: median, and band from the 10th to the 90th percentile",
    caption: last === 255 ? "The first 256 turns." : "Few sessions reach late turns.",
    spec: bandChart({
      series, tips: ["Turn", "10th percentile", "Median", "90th percentile", "Requests"],
      x: { axis: { title: "turn index, from 0", tickMinStep: 1, format: "d", tickCount: 8 }, scale: { domain: [0, last], nice: false } }, y: { axis: AXIS.short, scale: { zero: true } },
    }),
    columns: [
      ...(series.length > 1 ? [{ label: "Trace", left: true, text: (row) => row.label }] : []),
      { label: "Turn", text: (row) => row.t0 }, { label: "10 %", text: (row) => row.t1 }, { label: "Median", text: (row) => row.t2 }, { label: "90 %", text: (row) => row.t3 }, { label: "Requests", text: (row) => row.t4 },
    ],
    rows: series.flatMap((one) => one.points),
  });
}

const ENDS = {
  forced_retire: "prompt limit reached", probabilistic_reset: "random reset", restart_split: "split by a restart", target_turn_count: "turn count reached",
};

function ends({ traces, runs, labels }) {
  const rows = traces.flatMap((trace, index) => {
    const exact = runs[index]?.quality?.end_reasons;
    const counts = exact ? Object.entries(exact).map(([name, ended]) => [name, ended.count]) : Object.entries(trace.end_reasons);
    const all = total(counts.map(([, number]) => number));
    return counts.filter(([, number]) => number > 0).map(([name, number]) => ({
      name: ENDS[name] ?? name, value: number / all, series: labels[index], t0: ENDS[name] ?? name, t1: count(number), t2: percent(number / all), t3: name,
    }));
  });
  if (!rows.length) return null;
  return figure({
    id: "end-reasons", title: "Why sessions end", units: "share of sessions",
    spec: barChart({ rows, series: labels, axis: AXIS.percent, tips: ["Ended by", "Sessions", "Share"] }),
    columns: [
      ...(labels.length > 1 ? [{ label: "Trace", left: true, text: (row) => row.series }] : []),
      { label: "End", left: true, text: (row) => row.name }, { label: "end_reason", left: true, text: (row) => row.t3 }, { label: "Sessions", text: (row) => row.t1 }, { label: "Share", text: (row) => row.t2 },
    ],
    rows,
  });
}

function groups({ runs, labels }) {
  const rows = runs.flatMap((run, index) => {
    const found = run?.quality?.groups;
    if (!found || found.configured < 2) return [];
    const sessions = run.quality.written.sessions;
    return found.largest.map(([group, number]) => ({ name: `group ${group}`, value: number / sessions, series: labels[index], t0: `group ${group}`, t1: count(number), t2: percent(number / sessions) }));
  });
  if (!rows.length) return null;
  const seen = runs.filter((run) => run?.quality).map((run) => `${count(run.quality.groups.seen)} of ${count(run.quality.groups.configured)}`).join("; ");
  return figure({
    id: "groups", title: "The largest groups", units: "share of sessions; a group shares L1.5",
    caption: `Groups in use: ${seen}.`,
    spec: barChart({ rows, series: labels, axis: AXIS.percent, tips: ["Group", "Sessions", "Share"] }),
    columns: [{ label: "Group", left: true, text: (row) => row.t0 }, { label: "Sessions", text: (row) => row.t1 }, { label: "Share", text: (row) => row.t2 }],
    rows,
  });
}

function continuations({ traces, runs, labels, cut }) {
  const rows = traces.flatMap((trace, index) => {
    const exact = runs[index]?.quality?.written;
    const all = exact ?? trace;
    if (!all.continuations) return [];
    const found = runs[index]?.quality?.metrics?.initial_context_continuations?.observed ?? trace.lengths.initial_context_of_continuations;
    return [{ label: labels[index], all, found, linked: cut[index] ? null : trace.linked_continuations }];
  });
  if (!rows.length) return null;
  return el(
    "div", { id: "continuations" }, el("h3", {}, "Continuations"),
    el("p", { class: "note" }, "A restart splits a session: a continuation starts with the full history of its parent."),
    table("", [
      { label: "", left: true, text: (row) => (labels.length > 1 ? row.label : "whole trace") }, { label: "Continuations", text: (row) => count(row.all.continuations) },
      { label: "Share of sessions", text: (row) => percent(row.all.continuations / row.all.sessions) }, { label: "Parent in the trace", text: (row) => count(row.linked) },
      { label: "First prompt, mean", text: (row) => `${count(row.found?.mean)} tokens` }, { label: "Median", text: (row) => `${count(row.found?.median)} tokens` },
    ], rows),
  );
}

export function sessions(shown) {
  const figures = [contextByTurn(shown), ends(shown), groups(shown)].filter(Boolean);
  const after = continuations(shown);
  return figures.length || after ? section("sessions", "Course of sessions", figures.length ? el("div", { class: "figures" }, figures) : null, after) : null;
}
