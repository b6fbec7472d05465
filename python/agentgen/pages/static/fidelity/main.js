// The page of a comparison with recorded sessions: distances, distributions, sessions and reuse of both traces.

import { el, contents, pageData, section, table } from "../dom.js";
import { NONE, count, percent } from "../format.js";
import { AXIS, COLORS, decades, figure } from "../chart.js";
import { axisFor, barChart, lineChart } from "../report/plots.js";

const SIDES = ["source", "generated"];

function ks(value) {
  return value === null || value === undefined ? NONE : value.toFixed(3);
}

function ttl(name) {
  return name === "infinite" ? "nothing evicted" : `evicted after ${Number(name.split("_")[1])} min`;
}

function size({ conversations, calls }) {
  return `${count(conversations)} sessions, ${count(calls)} calls`;
}

function distances({ quantities, source, generated }) {
  const far = quantities.filter((quantity) => quantity.is_far).map((quantity) => quantity.name);
  const columns = [
    { label: "Quantity", left: true, text: (row) => row.name },
    { label: "KS", text: (row) => ks(row.ks) },
    { label: "Halves", text: (row) => ks(row.ks_of_halves) },
    { label: "Far", left: true, text: (row) => (row.is_far ? "far" : "") },
    ...["p50", "p90"].flatMap((share) => SIDES.map((side) => ({ label: `${share}, ${side}`, text: (row) => count(row[share][side]) }))),
  ];
  const verdict = far.length ? `More than 1.5 times as far as the halves: ${far.join("; ")}.` : "No quantity is more than 1.5 times as far as the halves.";
  const note = "KS is the largest difference between both cumulative distributions; halves: that of the source's own two halves.";
  return section(
    "distances", "Distances", el("p", {}, `Source: ${size(source)}. Generated: ${size(generated)}. ${verdict}`),
    table("Distances by quantity", columns, quantities, { id: "distances-table" }), el("p", { class: "note" }, note),
  );
}

// An axis for all values; logarithmic ones have room for 0 where there is one.
function axisOf(values, title) {
  const [low, high] = [Math.min(...values), Math.max(1, ...values)];
  if (low > 0) return axisFor(low, high, "short", title);
  return { scale: { type: "symlog", constant: 1, domain: [0, high], nice: false }, axis: { ...AXIS.short, title, values: [0, ...decades(1, high)] } };
}

function distribution({ quantity, name, quantiles }) {
  const x = axisOf(quantiles.flatMap(([, ...values]) => values), name);
  const series = SIDES.map((side, at) => ({
    name: side, dash: at ? [5, 3] : [1, 0],
    points: quantiles.map(([share, ...values]) => ({ x: values[at], y: share, t0: side, t1: percent(share), t2: count(values[at]) })),
  }));
  return figure({
    id: `${quantity}-distribution`, title: name, units: "share of values up to x",
    spec: lineChart({ series, x, y: { axis: AXIS.percent, scale: { domain: [0, 1] } }, tips: ["Trace", "Share", "Value"] }),
    columns: [
      { label: "Share", text: ([share]) => percent(share) }, { label: "Source", text: (row) => count(row[1]) },
      { label: "Generated", text: (row) => count(row[2]) },
    ],
    rows: quantiles,
  });
}

function quantilePlot({ quantity, name, quantiles }) {
  const values = quantiles.flatMap(([, ...both]) => both);
  const [x, y] = [axisOf(values, "source"), axisOf(values, null)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const point = (at, to, share) => ({ x: at, y: to, t0: share, t1: count(at), t2: count(to) });
  const series = [
    { name: "quantiles", points: quantiles.map(([share, at, to]) => point(at, to, percent(share))) },
    { name: "equal", color: "var(--muted)", dash: [4, 4], points: [point(low, low, NONE), point(high, high, NONE)] },
  ];
  return figure({
    id: `${quantity}-quantiles`, title: `${name}: quantiles`, units: "generated",
    spec: lineChart({ series, x, y, tips: ["Share", "Source", "Generated"], points: true }),
  });
}

function distributions({ quantities }) {
  const figures = quantities.flatMap((quantity) => [distribution(quantity), quantilePlot(quantity)]);
  return section("distributions", "Distributions", el("div", { class: "figures" }, figures));
}

function sessions({ sessions: both }) {
  const rows = SIDES.flatMap((side) => both[side].map(([calls, prompt]) => ({ side, calls, prompt })));
  const spec = () => ({
    data: { values: rows },
    mark: { type: "point", size: 14, opacity: 0.5 },
    encoding: {
      x: { field: "calls", type: "quantitative", ...axisOf(rows.map((row) => row.calls), "calls") },
      y: { field: "prompt", type: "quantitative", ...axisOf(rows.map((row) => row.prompt), null) },
      color: { field: "side", type: "nominal", scale: { domain: SIDES, range: COLORS.slice(0, 2) }, legend: {} },
    },
  });
  const caption = `A point is a session: ${count(both.source.length)} of the source, ${count(both.generated.length)} generated.`;
  return section("sessions", "Sessions", figure({ id: "sessions-plot", title: "Calls and last prompt", units: "tokens", caption, spec, wide: true }));
}

function shares(id, title, units, found, name, show, axis) {
  const rows = Object.entries(found).flatMap(([key, pair]) => SIDES.map((side) => (
    { name: name(key), value: pair[side], series: side, t0: name(key), t1: side, t2: show(pair[side]) })));
  const spec = barChart({ rows, series: SIDES, axis, tips: ["Figure", "Trace", "Value"] });
  const columns = [
    { label: "Figure", left: true, text: ([key]) => name(key) }, ...SIDES.map((side) => ({ label: side, text: ([, pair]) => show(pair[side]) })),
  ];
  return figure({ id, title, units, spec, columns, rows: Object.entries(found) });
}

function reuse({ reuse: found, breaks }) {
  const kind = (key) => (key === "lost" ? "all that keep less than half" : key.replaceAll("_", " "));
  return section(
    "reuse", "Reuse and breaks",
    el(
      "div", { class: "figures" },
      shares("reuse-plot", "Prompt tokens found in a cache", "share", found, ttl, percent, AXIS.percent),
      shares("breaks-plot", "Breaks", "share of calls", breaks, kind, (share) => `${(100 * share).toFixed(2)} %`, AXIS.percent),
    ),
  );
}

{
  const found = pageData();
  const parts = [distances(found), distributions(found), sessions(found), reuse(found)];
  document.getElementById("main").append(contents(parts), ...parts);
}
