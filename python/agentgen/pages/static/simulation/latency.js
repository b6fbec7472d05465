// Latency: the distribution of the time to first token, and its parts by turn.

import { AXIS, COLORS } from "../chart.js";
import { count, duration, percent, short } from "../format.js";

/** Ticks of a logarithmic time axis, ms. */
const TICKS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 10_800, 36_000, 86_400].map((s) => 1000 * s)];

/** Bars per factor of ten on a logarithmic axis. */
const BARS = 16;

/** Bars of [ms, count] pairs; times below 1 ms share one bar. */
function histogram(counts) {
  const heights = new Map();
  for (const [ms, times] of counts) {
    const bar = Math.max(0, Math.floor(BARS * Math.log10(Math.max(ms, 1))));
    heights.set(bar, (heights.get(bar) ?? 0) + times);
  }
  const [first, last] = [Math.min(...heights.keys()), Math.max(...heights.keys())];
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const bar = first + index;
    return { from: 10 ** (bar / BARS), to: 10 ** ((bar + 1) / BARS), requests: heights.get(bar) ?? 0 };
  });
}

export function ttft({ figures, ttft: counts }) {
  const observed = figures.times.ttft;
  const all = observed?.count ?? 0;
  const rows = all ? histogram(counts).map((row) => ({ ...row, range: `${duration(row.from)} to ${duration(row.to)}`, share: percent(row.requests / all) })) : [];
  const rules = all ? [["p50", observed.median], ["p95", observed.p95], ["p99", observed.p99]].map(([name, ms], row) => ({ name, ms: Math.max(ms, 1), text: duration(ms), row: 13 * row })) : [];
  const x = { type: "quantitative", scale: { type: "log", nice: false }, title: null };
  return {
    id: "ttft", title: "Time to first token", units: "requests, logarithmic axis",
    caption: all ? `Half of the requests within ${duration(observed.median)}, 95 % within ${duration(observed.p95)}, 99 % within ${duration(observed.p99)} (lines); mean ${duration(observed.mean)}.` : "No request was served.",
    rows,
    columns: [
      { label: "Time to first token", text: (row) => row.range },
      { label: "Requests", text: (row) => count(row.requests) },
      { label: "Share", text: (row) => row.share },
    ],
    spec: () => ({
      layer: [
        {
          data: { values: rows },
          mark: { type: "rect", stroke: "var(--paper)", strokeWidth: 1, color: "var(--c1)" },
          encoding: {
            x: { ...x, field: "from", axis: { ...AXIS.duration, grid: false, values: TICKS_MS } }, x2: { field: "to" },
            y: { field: "requests", type: "quantitative", title: null, axis: AXIS.short }, y2: { datum: 0 },
            tooltip: [{ field: "range", title: "Time to first token" }, { field: "requests", title: "Requests" }, { field: "share", title: "Share" }],
          },
        },
        {
          data: { values: rules },
          mark: { type: "rule", strokeWidth: 1.4, strokeDash: [5, 4], color: "var(--ink)" },
          encoding: { x: { ...x, field: "ms" }, tooltip: [{ field: "name", title: "Percentile" }, { field: "text", title: "Time to first token" }] },
        },
        {
          data: { values: rules },
          mark: { type: "text", align: "left", dx: 3, baseline: "top", fontSize: 11, fill: "var(--ink)" },
          encoding: { x: { ...x, field: "ms" }, y: { field: "row", type: "quantitative", scale: null }, text: { field: "name" } },
        },
      ],
    }),
  };
}

/** Hit rate by turn. */
export function hitByTurn({ figures }) {
  const rows = figures.by_turn.filter(({ requests }) => requests > 0);
  const values = rows.map((row) => ({ turn: row.turn_index, rate: row.hit_rate, hit: percent(row.hit_rate), requests: count(row.requests), tokens: short(row.prompt_tokens) }));
  return {
    id: "hit-by-turn", title: "Hit rate by turn", units: "tokens found / tokens of the prompts",
    caption: "A session's first turn finds what others have left; later ones find their own history, if it is still there.", rows,
    columns: [
      { label: "Turn", text: (row) => count(row.turn_index) },
      { label: "Requests", text: (row) => count(row.requests) },
      { label: "Tokens", text: (row) => count(row.prompt_tokens) },
      { label: "Found", text: (row) => count(row.hit_tokens) },
      { label: "Hit rate", text: (row) => percent(row.hit_rate) },
    ],
    spec: () => ({
      data: { values },
      mark: { type: "line", point: { size: 28 } },
      encoding: {
        x: { field: "turn", type: "quantitative", title: "turn", axis: { tickMinStep: 1, format: "d" } },
        y: { field: "rate", type: "quantitative", title: null, axis: AXIS.percent, scale: { domain: [0, 1] } },
        tooltip: [{ field: "turn", title: "Turn" }, { field: "hit", title: "Hit rate" }, { field: "requests", title: "Requests" }, { field: "tokens", title: "Tokens" }],
      },
    }),
  };
}

/** The most turns drawn; the table lists all. */
const TURNS = 60;

export function byTurn({ figures }) {
  const rows = figures.by_turn;
  const parts = [
    { name: "waiting", color: 1, of: (row) => row.mean_queueing_ms },
    { name: "prefill", color: 0, of: (row) => row.mean_ttft_ms - row.mean_queueing_ms },
  ];
  const values = rows.filter(({ requests }) => requests > 0).slice(0, TURNS).flatMap((row) =>
    parts.map((part) => ({ turn: row.turn_index, part: part.name, ms: part.of(row), shown: duration(part.of(row)), requests: count(row.requests), hit: percent(row.hit_rate) })),
  );
  const names = parts.map(({ name }) => name);
  const most = Math.max(...rows.map((row) => row.mean_ttft_ms).filter((ms) => ms >= 0));
  const step = TICKS_MS.find((ms) => 6 * ms >= most) ?? TICKS_MS.at(-1);
  const marks = (every) => values.map(({ turn }) => turn).filter((turn) => turn % every === 0);
  return {
    id: "turns", title: "What a first token waits for", units: "mean by turn",
    caption: rows.length > TURNS ? `Turns from ${TURNS} on are in the table.` : "Waiting: for the prefill unit and for room. Prefill: what was not found is computed.",
    rows,
    columns: [
      { label: "Turn", text: (row) => count(row.turn_index) },
      { label: "Requests", text: (row) => count(row.requests) },
      { label: "Hit rate", text: (row) => percent(row.hit_rate) },
      { label: "Mean waiting", text: (row) => duration(row.mean_queueing_ms) },
      { label: "Mean time to first token", text: (row) => duration(row.mean_ttft_ms) },
    ],
    spec: ({ narrow }) => ({
      data: { values },
      mark: { type: "bar" },
      encoding: {
        x: { field: "turn", type: "ordinal", title: "turn", axis: { labelAngle: 0, ticks: false, values: marks(Math.ceil(values.length / (narrow ? 20 : 50))) } },
        y: { field: "ms", type: "quantitative", title: null, axis: { ...AXIS.duration, values: Array.from({ length: 8 }, (_, n) => n * step) }, stack: "zero" },
        color: { field: "part", type: "nominal", scale: { domain: names, range: parts.map(({ color }) => COLORS[color]) }, sort: names, legend: {} },
        order: { field: "part", sort: "descending" },
        tooltip: [{ field: "turn", title: "Turn" }, { field: "part", title: "Part" }, { field: "shown", title: "Mean" }, { field: "requests", title: "Requests" }, { field: "hit", title: "Hit rate" }],
      },
    }),
  };
}
