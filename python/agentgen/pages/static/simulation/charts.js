// The charts of a result: each function returns title, units, caption, chart and numbers of one chart.

import { AXIS, COLORS } from "../chart.js";
import { bytes, count, duration, percent, short } from "../format.js";
import { overTime } from "./spec.js";

const LAYER_NAMES = { l1: "L1: shared by all", l1_5: "L1.5: by a group", l2: "L2: first prompt", carried: "carried over", history: "history" };

const time = { label: "Virtual time", text: (row) => duration(row.time_ms) };

/** A chart over time; `series` names fields of the points and their text. */
function timed({ figures }, { series, scale = (row) => row, ...rest }, about) {
  const rows = figures.series.map((point) => ({ time_ms: point.time_ms, ...scale(point) }));
  const columns = [time, ...series.map(({ name, text }) => ({ label: name, text: (row) => (row[name] === null ? null : text(row[name])) }))];
  return { ...about, rows, columns, spec: () => overTime({ rows, durationMs: figures.duration_ms, series, ...rest }) };
}

function hitRate(result) {
  const rate = result.figures.hit_rates.token_weighted;
  return timed(
    result,
    {
      series: [{ name: "hit rate", color: 0, text: percent }],
      scale: (point) => ({ "hit rate": point.hit_rate }),
      axis: AXIS.percent, domain: [0, 1], rule: { value: rate, label: `all requests: ${percent(rate)}` },
    },
    {
      id: "hit-rate", title: "Hit rate", units: "tokens found / tokens of the prompts",
      caption: `Of the requests admitted in each part of the time; all together ${percent(rate)} (dashed).`,
    },
  );
}

function occupancy(result) {
  const { sample, settings, figures } = result;
  const gb = (blocks) => (blocks * sample.block_tokens * settings.kv) / 1e9;
  const [capacity, peak] = [gb(figures.occupancy.capacity_blocks), gb(figures.occupancy.peak_blocks)];
  const write = (value) => bytes(value * 1e9);
  return timed(
    result,
    {
      series: [
        { name: "held by running requests", color: 1, text: write },
        { name: "reserved for their outputs", color: 4, text: write },
        { name: "cached, not in use", color: 0, text: write },
      ],
      scale: (point) => ({
        "held by running requests": gb(point.pinned_blocks),
        "reserved for their outputs": gb(point.reserved_blocks),
        "cached, not in use": gb(point.resident_blocks - point.pinned_blocks),
      }),
      isStacked: true, axis: AXIS.short,
      rule: capacity <= 2 * peak ? { value: capacity, label: `capacity: ${write(capacity)}` } : null,
    },
    {
      id: "occupancy", title: "Occupancy", units: "GB, mean",
      caption: `At most ${write(peak)} at once, of ${write(capacity)} (${percent(peak / capacity)})${capacity <= 2 * peak ? ", dashed" : ""}.`,
    },
  );
}

function requests(result) {
  const { occupancy: most } = result.figures;
  return timed(
    result,
    {
      series: [
        { name: "running", color: 0, text: count },
        { name: "waiting", color: 1, text: count },
      ],
      scale: (point) => ({ running: point.running, waiting: point.queued }),
      axis: AXIS.short,
    },
    {
      id: "requests", title: "Active requests", units: "requests, mean",
      caption: `Running: admitted and not ended, at most ${count(most.peak_running)}. Waiting: sent and not admitted, at most ${count(most.peak_queued)}.`,
    },
  );
}

function tokensInFlight(result) {
  return timed(
    result,
    { series: [{ name: "tokens in flight", color: 2, text: short }], scale: (point) => ({ "tokens in flight": point.tokens_in_flight }), axis: AXIS.short },
    { id: "tokens", title: "Tokens in flight", units: "tokens, mean", caption: "Prompts and outputs of running requests." },
  );
}

export function turnover(result) {
  const { blocks } = result.figures;
  return timed(
    result,
    {
      series: [
        { name: "evicted", color: 1, text: count },
        { name: "fetched again", color: 3, text: count },
      ],
      scale: (point) => ({ evicted: point.evicted_blocks, "fetched again": point.refetched_blocks }),
      axis: AXIS.short,
    },
    {
      id: "turnover", title: "Evictions over time", units: `blocks in each ${duration(result.figures.series[1]?.time_ms ?? 0)}`,
      caption: `${count(blocks.evicted)} blocks evicted, ${count(blocks.refetched)} computed again after that.`,
    },
  );
}

/** Bars for each layer and kind. */
function bars(rows, kinds, { axis, isStacked }) {
  const values = rows.flatMap((row) =>
    kinds.map(({ name, of, text }, position) => ({ layer: row.name, kind: name, position, value: of(row), shown: text(of(row)) })),
  );
  const names = kinds.map(({ name }) => name);
  const scale = { domain: names, range: kinds.map(({ color }) => COLORS[color]) };
  return ({ narrow }) => ({
    height: Math.max(230, 60 + 46 * rows.length),
    data: { values },
    mark: { type: "bar", height: { band: isStacked ? 0.6 : 0.85 } },
    encoding: {
      y: { field: "layer", type: "nominal", sort: null, title: null, axis: { labelLimit: narrow ? 110 : 190, domain: false, ticks: false } },
      ...(isStacked ? { order: { field: "position" } } : { yOffset: { field: "kind", sort: names } }),
      x: { field: "value", type: "quantitative", title: null, axis: { ...axis, grid: true, domain: false, tickCount: 5 }, stack: isStacked ? "zero" : null },
      color: { field: "kind", type: "nominal", scale, sort: names, legend: {} },
      tooltip: [{ field: "layer", title: "Layer" }, { field: "kind", title: "Blocks or tokens" }, { field: "shown", title: "How many" }],
    },
  });
}

export function evictions({ figures, sample }) {
  const rows = figures.blocks_by_layer.map((row) => ({ ...row, name: LAYER_NAMES[row.layer] }));
  const kinds = [
    { name: "evicted", of: (row) => row.evicted, text: count, color: 1 },
    { name: "fetched again", of: (row) => row.refetched, text: count, color: 3 },
  ];
  return {
    id: "evictions", title: "Evictions by layer", units: `blocks of ${count(sample.block_tokens)} tokens`,
    caption: figures.blocks.evicted === 0 ? "Nothing was evicted: the capacity holds everything." : "The layer of a block's first token, in the request that used the block last.",
    spec: bars(rows, kinds, { axis: AXIS.short }), rows,
    columns: [
      { label: "Layer", text: (row) => row.name, left: true },
      { label: "Came in", text: (row) => count(row.added) },
      { label: "Evicted", text: (row) => count(row.evicted) },
      { label: "Fetched again", text: (row) => count(row.refetched) },
    ],
  };
}

export function layers({ figures }) {
  const rows = figures.by_layer.map((row) => ({ ...row, name: LAYER_NAMES[row.layer] }));
  const kinds = [
    { name: "found", of: (row) => row.hit_tokens, text: short, color: 0 },
    { name: "computed", of: (row) => row.prompt_tokens - row.hit_tokens, text: short, color: 1 },
  ];
  return {
    id: "layers", title: "Prompts by layer", units: "tokens",
    caption: `${short(figures.hit_tokens)} of ${short(figures.prompt_tokens)} tokens were found, the others computed.`,
    spec: bars(rows, kinds, { axis: AXIS.short, isStacked: true }), rows,
    columns: [
      { label: "Layer", text: (row) => row.name, left: true },
      { label: "Tokens", text: (row) => count(row.prompt_tokens) },
      { label: "Found", text: (row) => count(row.hit_tokens) },
      { label: "Hit rate", text: (row) => percent(row.hit_rate) },
    ],
  };
}

export const OVER_TIME = [hitRate, occupancy, requests, tokensInFlight];
