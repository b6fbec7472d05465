// Prefix-cache reuse; docs/reuse.md defines every figure.

import { AXIS, COLORS, figure } from "../chart.js";
import { el, section, table } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { axisFor, lineChart, stackedBars, times } from "./plots.js";

const DEFINITIONS = {
  block_references: "blocks found / all blocks of the prompts", full_blocks: "full blocks found / full blocks",
  token_weighted: "tokens found / tokens of the prompts", request_mean: "mean over requests: tokens found / tokens",
  session_mean: "mean over sessions: tokens found / tokens",
};
export const LAYERS = { l1: "L1: shared by all", l1_5: "L1.5: shared by a group", l2: "L2: rest of the first prompt", carried: "carried over by a restart", history: "after the first prompt" };

// Labels that fit beside bars.
const SHORT_LAYERS = { l1: "L1: all sessions", l1_5: "L1.5: a group", l2: "L2: one session", carried: "carried over", history: "history" };

const CLOCKS = {
  closed: (timeline) => `closed loop: ${count(timeline.concurrency)} open sessions, in file order`,
  arrivals: () => "sessions at their arrivals", recorded: () => "requests at their recorded times",
};

export function timelineText(timeline) {
  return `${CLOCKS[timeline.clock](timeline)}; prefill ${count(timeline.prefill_tokens_per_second)}, decode ${count(timeline.decode_tokens_per_second)} tokens/s; duration ${duration(timeline.duration_ms)}`;
}

// Hit rates of all sessions from the run's quality.json, valid for its block size with cached outputs.
function exactRates(trace, run) {
  const exact = run?.quality?.reuse;
  return exact && exact.block_size === trace.block_size && trace.reuse.cached_outputs ? exact : null;
}

function definitions({ traces, runs, labels, cut }) {
  const readings = traces.flatMap((trace, index) => {
    const whole = (cut[index] && exactRates(trace, runs[index])) || trace.reuse;
    const found = [{ label: labels.length > 1 ? `${labels[index]}, linked` : "Linked", rates: whole.linked }];
    if (whole.standalone) found.push({ label: labels.length > 1 ? `${labels[index]}, standalone` : "Standalone", rates: whole.standalone });
    return found;
  });
  const rows = Object.keys(DEFINITIONS).filter((name) => readings.some((one) => one.rates[name] !== null));
  return [
    table("Hit rate of an infinite cache, by definition", [
      { label: "Definition", left: true, text: (name) => el("code", {}, name) }, { label: "", left: true, text: (name) => DEFINITIONS[name] },
      ...readings.map((one) => ({ label: one.label, text: (name) => percent(one.rates[name]) })),
    ], rows, { id: "rates-table" }),
    el("p", { class: "note" }, readings.length > traces.length
      ? "Linked: a restart session continues its parent's tokens. Standalone: it is a session of its own, as for a replayer that ignores parents. All figures below are linked."
      : "Published hit rates use different definitions; compare rates of the same definition."),
  ];
}

function layers(trace, label) {
  const found = trace.reuse.by_layer;
  if (!found.length) return null;
  const rows = found.flatMap((rate) => [
    { name: SHORT_LAYERS[rate.layer], long: LAYERS[rate.layer], kind: "found", order: 0, value: rate.hit_tokens }, { name: SHORT_LAYERS[rate.layer], long: LAYERS[rate.layer], kind: "computed", order: 1, value: rate.prompt_tokens - rate.hit_tokens },
  ].map((row) => ({ ...row, t0: row.long, t1: `${row.kind}: ${short(row.value)} tokens`, t2: percent(rate.hit_rate) })));
  return figure({
    id: `layers${label ? `-${label[0]}` : ""}`, title: `Prompts by layer${label ? `, ${label}` : ""}`, units: "tokens over all requests",
    caption: "Found in an infinite cache, or computed.",
    spec: stackedBars({ rows, kinds: ["found", "computed"], palette: ["var(--c1)", "var(--c2)"], axis: AXIS.short, tips: ["Layer", "Tokens", "Hit rate of the layer"] }),
    columns: [
      { label: "Layer", left: true, text: (rate) => LAYERS[rate.layer] }, { label: "Tokens", text: (rate) => count(rate.prompt_tokens) }, { label: "Share of all", text: (rate) => percent(rate.prompt_tokens / trace.prompt_tokens) },
      { label: "Found", text: (rate) => count(rate.hit_tokens) }, { label: "Hit rate", text: (rate) => percent(rate.hit_rate) },
    ],
    rows: found,
  });
}

// One line per trace; the table has a column for the trace if there are several.
function curves({ id, title, units, caption, labels, points, x, tips, columns, interpolate, dots, wide }) {
  const series = points.map((of, index) => ({ name: labels[index], color: COLORS[index], points: of.map((point) => ({ ...point, label: labels[index] })) })).filter((one) => one.points.length > 1);
  if (!series.length) return null;
  return figure({
    id, title, units, caption, wide,
    spec: lineChart({ series, x, y: { axis: AXIS.percent, scale: { domain: [0, 1] } }, tips, interpolate, points: dots }),
    columns: [...(labels.length > 1 ? [{ label: "Trace", left: true, text: (row) => row.label }] : []), ...columns], rows: series.flatMap((one) => one.points),
  });
}

function capacity({ traces, labels }) {
  const points = traces.map((trace) => trace.reuse.capacity_curve.filter((point) => point.capacity_blocks > 0).map((point) => ({
    x: point.capacity_tokens, y: point.hit_rate, t0: `${short(point.capacity_tokens)} tokens`, t1: percent(point.hit_rate), t2: count(point.capacity_blocks), t3: count(point.capacity_tokens),
  })));
  const all = points.flat().map((point) => point.x);
  if (!all.length) return null;
  return curves({
    id: "capacity-curve", title: "Hit rate by capacity", units: "blocks found / all blocks of the prompts, LRU cache", labels, points, wide: true, interpolate: "step-after",
    caption: "Points are exact: every 0.1 % of the hit rate, round capacities, and the smallest capacity without a miss that an infinite cache avoids.",
    x: axisFor(Math.min(...all), Math.max(...all) * 1.02, "short", "capacity, tokens"), tips: ["Capacity", "Hit rate", "Blocks"],
    columns: [{ label: "Capacity, tokens", text: (row) => row.t3 }, { label: "Blocks", text: (row) => row.t2 }, { label: "Hit rate", text: (row) => row.t1 }],
  });
}

function timeToLive({ traces, labels }) {
  // An unlimited time to live is drawn as the last point, one step beyond the axis.
  const points = traces.map((trace) => trace.reuse.ttl.filter((point) => point.ttl_ms !== 0).map((point) => ({
    x: point.ttl_ms ?? 4 * 86_400_000, y: point.hit_rate, t0: point.ttl_ms === null ? "unlimited" : duration(point.ttl_ms), t1: percent(point.hit_rate),
  })));
  return curves({
    id: "ttl-curve", title: "Hit rate by time to live", units: "tokens found / tokens of the prompts", labels, points, dots: true,
    caption: "An infinite cache that evicts blocks idle for longer than this. The last point never evicts.",
    x: { scale: { type: "log", domain: [1000, 4 * 86_400_000], nice: false }, axis: { ...AXIS.duration, values: [1e3, 1e4, 6e4, 6e5, 3.6e6, 3.6e7], title: "after the last use" } },
    tips: ["Time to live", "Hit rate"], columns: [{ label: "Time to live", text: (row) => row.t0 }, { label: "Hit rate", text: (row) => row.t1 }],
  });
}

function byTurn({ traces, labels }) {
  const points = traces.map((trace) => trace.reuse.by_turn.filter((rate) => rate.requests > 0).map((rate) => ({
    x: rate.turn_index, y: rate.hit_rate, t0: count(rate.turn_index), t1: percent(rate.hit_rate), t2: count(rate.requests),
  })));
  return curves({
    id: "hit-rate-by-turn", title: "Hit rate by turn index", units: "tokens found / tokens of the prompts", labels, points,
    caption: "Infinite cache. First prompts hit blocks shared between sessions; later prompts also hit blocks of their session.",
    x: { axis: { title: "turn index, from 0", tickMinStep: 1, format: "d", tickCount: 8 }, scale: { nice: false } },
    tips: ["Turn", "Hit rate", "Requests"],
    columns: [{ label: "Turn", text: (row) => row.t0 }, { label: "Requests", text: (row) => row.t2 }, { label: "Hit rate", text: (row) => row.t1 }],
  });
}

const KINDS = { distinct_tokens: "distinct so far", live_tokens: "used and needed again", recent_tokens: "used in the last 5 minutes" };

function workingSet(trace, label) {
  const all = trace.reuse.working_set;
  if (all.length < 2) return null;
  const series = Object.entries(KINDS).map(([kind, name], index) => ({
    name, color: COLORS[index], points: all.map((point) => ({ x: point.time_ms, y: point[kind], t0: duration(point.time_ms), t1: `${short(point[kind])} tokens`, t2: name })),
  }));
  return figure({
    id: `working-set${label ? `-${label[0]}` : ""}`, title: `Working set over time${label ? `, ${label}` : ""}`, units: "tokens of distinct blocks",
    caption: "A cache that knows the future would hold the tokens used and needed again.",
    spec: lineChart({
      series, tips: ["Time", "Tokens", "Which"], y: { axis: AXIS.short, scale: { zero: true } },
      x: { axis: { ...AXIS.duration, title: "time on the reference timeline", values: times(all.at(-1).time_ms) }, scale: { domain: [all[0].time_ms, all.at(-1).time_ms], nice: false } },
    }),
    columns: [{ label: "Time", text: (row) => duration(row.time_ms) }, ...Object.entries(KINDS).map(([kind, name]) => ({ label: name, text: (row) => count(row[kind]) }))],
    rows: all,
  });
}

export function reuse(shown) {
  const { traces, labels } = shown;
  const label = (index) => (traces.length > 1 ? labels[index] : null);
  const each = (part) => traces.map((trace, index) => part(trace, label(index)));
  const figures = [capacity(shown), ...each(layers), byTurn(shown), timeToLive(shown), ...each(workingSet)].filter(Boolean);
  const timelines = traces.map((trace, index) => `${traces.length > 1 ? `Reference timeline of ${labels[index]}` : "Reference timeline"}: ${timelineText(trace.timeline)}.`);
  const blocks = [...new Set(traces.map((trace) => `${count(trace.block_size)} tokens`))].join(" and ");
  const outputs = traces[0].reuse.cached_outputs ? "outputs stay cached" : "outputs are not cached";
  return section(
    "reuse", "Reuse", ...definitions(shown),
    el("p", { class: "note", id: "timeline" }, `Figures that depend on request order share one reference timeline. ${timelines.join(" ")} Blocks of ${blocks}; ${outputs}.`),
    el("div", { class: "figures" }, figures),
  );
}
