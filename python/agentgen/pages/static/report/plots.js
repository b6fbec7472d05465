// Chart types of the report as Vega-Lite specs. Rows have the texts of their tooltips as t0, t1, ...

import { AXIS, COLORS, decades } from "../chart.js";

const DURATIONS = [0.1, 1, 10, 100, 1e3, 1e4, 6e4, 6e5, 3.6e6, 3.6e7, 3.6e8, 3.6e9];

// Ratio of the largest to the smallest value above which an axis is logarithmic.
const WIDE = 8;

// { log, domain, axis } of a horizontal axis for values from low to high; `kind` is "short" or "duration".
export function axisFor(low, high, kind, title) {
  const log = low > 0 && high / low > WIDE;
  const round = () => (kind === "duration" ? DURATIONS.filter((value) => value >= low && value <= high) : decades(low, high));
  const values = log ? round() : [];
  return {
    scale: { type: log ? "log" : "linear", domain: [low, high], nice: false, ...(log ? {} : { zero: false }) },
    axis: { ...AXIS[kind], title, ...(values.length > 1 ? { values } : { tickCount: 6 }) },
  };
}

// Round times from 0 to `high` for a linear axis.
export function times(high) {
  const minute = 60_000;
  const steps = [1000, 5000, 10_000, 30_000, minute, 5 * minute, 10 * minute, 30 * minute, 60 * minute, 120 * minute, 240 * minute, 480 * minute, 1440 * minute];
  const days = 1440 * minute * 10 ** Math.max(0, Math.ceil(Math.log10(high / (6 * 1440 * minute))));
  const step = steps.find((one) => high / one <= 6) ?? days;
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, index) => index * step);
}

function tooltips(titles) {
  return titles.map((title, index) => ({ field: `t${index}`, title, type: "nominal" }));
}

function colors(series) {
  const legend = series.length > 1 ? { symbolType: "stroke", symbolStrokeWidth: 3, symbolOpacity: 1 } : null;
  return {
    color: {
      field: "series", type: "nominal", legend,
      scale: { domain: series.map((one) => one.name), range: series.map((one, index) => one.color ?? COLORS[index]) },
    },
    strokeDash: {
      field: "series", type: "nominal", legend,
      scale: { domain: series.map((one) => one.name), range: series.map((one) => one.dash ?? [1, 0]) },
    },
  };
}

// Lines over a common axis. series: [{ name, color, dash, points: [{ x, y, t0, ... }] }].
export function lineChart({ series, x, y, tips, interpolate = "linear", points = false }) {
  const rows = series.flatMap((one) => one.points.map((point) => ({ ...point, series: one.name })));
  const at = { x: { field: "x", type: "quantitative", ...x }, y: { field: "y", type: "quantitative", ...y } };
  return () => ({
    data: { values: rows },
    layer: [
      { mark: { type: "line", interpolate, point: points ? { size: 28 } : false }, encoding: { ...at, ...colors(series) } },
      { mark: { type: "point", size: 240, opacity: 0 }, encoding: { ...at, tooltip: tooltips(tips) } },
    ],
  });
}

// A median line in a band. rows: [{ x, low, middle, high, t0, ... }] of each series.
export function bandChart({ series, x, y, tips }) {
  const rows = series.flatMap((one) => one.points.map((point) => ({ ...point, series: one.name })));
  const horizontal = { field: "x", type: "quantitative", ...x };
  const vertical = (field) => ({ field, type: "quantitative", ...y });
  const { color } = colors(series);
  return () => ({
    data: { values: rows },
    layer: [
      { mark: { type: "area", opacity: 0.22 }, encoding: { x: horizontal, y: vertical("low"), y2: { field: "high" }, color } },
      { mark: { type: "line" }, encoding: { x: horizontal, y: vertical("middle"), color } },
      { mark: { type: "point", size: 240, opacity: 0 }, encoding: { x: horizontal, y: vertical("middle"), tooltip: tooltips(tips) } },
    ],
  });
}

// Bars from `from` to `to` with lines over them. bars: [{ from, to, share, t0, ... }], overlays: as series of lineChart.
export function histogram({ bars, overlays, x, tips, name, color: own }) {
  const rows = overlays.flatMap((one) => one.points.map((point) => ({ ...point, series: one.name })));
  const horizontal = { type: "quantitative", ...x };
  const vertical = { type: "quantitative", axis: AXIS.percent, scale: { zero: true } };
  const legend = overlays.length > 0;
  const domain = [name, ...overlays.map((one) => one.name)];
  const range = [own, ...overlays.map((one) => one.color)];
  const colored = { type: "nominal", scale: { domain, range }, legend: legend ? { symbolType: "square" } : null };
  return () => ({
    layer: [
      {
        data: { values: bars.map((bar) => ({ ...bar, series: name })) },
        mark: { type: "rect", fillOpacity: 0.7, stroke: "var(--paper)", strokeWidth: bars.length > 60 ? 0.3 : 0.8 },
        encoding: {
          x: { field: "from", ...horizontal }, x2: { field: "to" }, y: { field: "share", ...vertical }, y2: { datum: 0 },
          color: { field: "series", ...colored }, tooltip: tooltips(tips),
        },
      },
      ...(rows.length === 0 ? [] : [{
        data: { values: rows },
        mark: { type: "line", interpolate: "step-after", strokeWidth: 1.8 },
        encoding: {
          x: { field: "x", ...horizontal }, y: { field: "y", ...vertical }, color: { field: "series", ...colored },
          strokeDash: {
            field: "series", type: "nominal", legend: null,
            scale: { domain: overlays.map((one) => one.name), range: overlays.map((one) => one.dash ?? [1, 0]) },
          },
        },
      }]),
    ],
  });
}

// Horizontal bars by name. rows: [{ name, value, series, t0, ... }].
export function barChart({ rows, series, axis, tips, domain }) {
  const many = series.length > 1;
  return ({ narrow }) => ({
    height: 70 + (many ? 17 : 30) * rows.length,
    data: { values: rows },
    mark: { type: "bar", cornerRadiusEnd: 2, height: { band: many ? 0.9 : 0.72 } },
    encoding: {
      y: { field: "name", type: "nominal", sort: null, axis: { title: null, labelLimit: narrow ? 130 : 230, domain: false, ticks: false, labelFontSize: 12.5 } },
      x: { field: "value", type: "quantitative", axis: { ...axis, title: null, grid: true, tickCount: 5 }, ...(domain ? { scale: { domain } } : {}) },
      ...(many ? { yOffset: { field: "series", sort: null } } : {}),
      color: { field: "series", type: "nominal", scale: { domain: series, range: COLORS }, legend: many ? { symbolType: "square" } : null },
      tooltip: tooltips(tips),
    },
  });
}

// Two kinds in one bar. rows: [{ name, value, kind }].
export function stackedBars({ rows, kinds, palette, axis, tips }) {
  return ({ narrow }) => ({
    height: 70 + 15 * rows.length,
    data: { values: rows },
    mark: { type: "bar", height: { band: 0.72 } },
    encoding: {
      y: { field: "name", type: "nominal", sort: null, axis: { title: null, labelLimit: narrow ? 120 : 230, domain: false, ticks: false, labelFontSize: 12.5 } },
      x: { field: "value", type: "quantitative", stack: true, axis: { ...axis, title: null, grid: true, tickCount: 5 } },
      order: { field: "order", type: "quantitative" },
      color: { field: "kind", type: "nominal", scale: { domain: kinds, range: palette }, legend: { symbolType: "square" } },
      tooltip: tooltips(tips),
    },
  });
}
