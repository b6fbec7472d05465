// Chart specs of the page: percentiles side by side, and lines over the run.

import { AXIS, COLORS } from "../chart.js";
import { el } from "../dom.js";
import { count, duration } from "../format.js";
import { lineChart, times } from "../report/plots.js";

// Statistics as summary.json names them, in their order on an axis.
export const STATISTICS = [
  ["min", "min"], ["p1", "1"], ["p5", "5"], ["p10", "10"], ["p25", "25"], ["p50", "50"], ["p75", "75"], ["p90", "90"], ["p95", "95"],
  ["p99", "99"], ["p99_9", "99.9"], ["max", "max"],
];

const FINE = [0.01, 0.1, 1, 10, 100, 1e3, 1e4].flatMap((power) => [power, 2 * power, 5 * power]);
const TICKS = [...FINE, 6e4, 1.2e5, 3e5, 6e5, 1.2e6, 3.6e6, 7.2e6, 1.8e7, 3.6e7, 8.64e7];
const POWERS = [0.01, 0.1, 1, 10, 100, 1e3, 1e4, 6e4, 6e5, 3.6e6, 3.6e7];
// Above this ratio of the largest to the smallest value an axis is logarithmic.
const STEEP = 8;

// Names figures that the summary does not have, at the end of their section.
export function absent(texts) {
  return texts.length ? el("p", { class: "note absent" }, `Not in the summary: ${texts.join("; ")}.`) : null;
}

// 1 value, 1,072 values.
export function valueCount(number) {
  return `${count(number)} value${number === 1 ? "" : "s"}`;
}

// A vertical axis of times; logarithmic where values are far apart.
export function timeAxis(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (!(high / low > STEEP)) return { axis: { ...AXIS.duration, ...(high >= 5000 ? { values: times(high) } : { tickCount: 5 }) }, scale: { zero: true } };
  const from = low > 0 ? low : Math.min(0.1, high / 100);
  const within = (ticks) => ticks.filter((tick) => tick >= from && tick <= high);
  const fine = within(TICKS);
  const ticks = fine.length > 7 ? within(POWERS) : fine;
  return {
    axis: { ...AXIS.duration, ...(ticks.length > 1 ? { values: low > 0 ? ticks : [0, ...ticks] } : {}) },
    // A value of 0 has no logarithm: below the constant the axis is linear.
    scale: low > 0 ? { type: "log", domain: [low / 1.15, high * 1.15], nice: false } : { type: "symlog", constant: from, domain: [0, high * 1.15], nice: false },
  };
}

// Lines over percentiles. figures: [{ name, values: one of the summary's statistics, color, dash }].
export function percentiles(figures) {
  const series = figures.map(({ name, values, color, dash }, index) => ({
    name, color: color ?? COLORS[index], dash,
    points: STATISTICS.map(([key, label]) => ({ x: label, y: values[key], t0: key === "min" || key === "max" ? label : `${label} %`, t1: duration(values[key]), t2: name })),
  }));
  const all = series.flatMap((one) => one.points.map((point) => point.y));
  const y = timeAxis(all);
  const x = ({ narrow }) => ({
    type: "ordinal", sort: null, scale: { type: "point", padding: 0.3 }, axis: { title: "percentile", labelAngle: 0, labelOverlap: "greedy", labelFontSize: narrow ? 10 : 12 },
  });
  return (size) => lineChart({ series, points: true, tips: ["Values at or below", "Time", "Which"], x: x(size), y })(size);
}

// The table of such a chart: a row a percentile.
export function percentileTable(figures) {
  return {
    columns: [
      { label: "Percentile", left: true, text: ([, label]) => label },
      ...figures.map(({ name, values }) => ({ label: name, text: ([key]) => duration(values[key]) })),
    ],
    rows: STATISTICS,
  };
}

// The time of the run, with the steady window behind the lines. `end`: where the run's last part ends, ms.
export function overTime({ series, y, tips, end, steady, interpolate, points }) {
  const x = { axis: { ...AXIS.duration, title: "time since the first session", ...(end >= 5000 ? { values: times(end) } : { tickCount: 5 }) }, scale: { domain: [0, end], nice: false } };
  const lines = lineChart({ series, x, y, tips, interpolate, points });
  if (!steady) return lines;
  const band = { data: { values: [{ from: steady.from_ms, to: steady.from_ms + steady.duration_ms }] } };
  const back = { ...band, mark: { type: "rect", color: "var(--c1-soft)", opacity: 0.45, clip: true }, encoding: { x: { field: "from", type: "quantitative", ...x }, x2: { field: "to" } } };
  return (size) => {
    const spec = lines(size);
    return { ...spec, layer: [back, ...spec.layer] };
  };
}

// The caption of such a chart.
export function steadyCaption(steady, caption) {
  const key = steady ? [el("span", { class: "key steady" }), "steady window. "] : [];
  return caption || steady ? [...key, caption].filter(Boolean) : null;
}

// Turns from 0 on; where there are many, later ones are nearer to each other.
export function turnAxis(turns) {
  const last = turns.at(-1).first_turn;
  const axis = { title: "turn index, from 0", tickMinStep: 1, format: "d", tickCount: 8 };
  if (last <= 64) return { axis, scale: { domain: [0, Math.max(1, last)], nice: false, padding: 8 } };
  const values = [0, 2, 5, 10, 20, 32, 64, 128, 256, 512, 1024, 2048, 4096].filter((turn) => turn <= last);
  return { axis: { ...axis, values }, scale: { type: "symlog", constant: 8, domain: [0, last], nice: false, padding: 8 } };
}

export function turnName({ first_turn: first, last_turn: last }) {
  return first === last ? String(first) : `${first} to ${last}`;
}
