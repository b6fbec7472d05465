// Latency of requests: percentiles side by side.

import { figure } from "../chart.js";
import { el, numbers, section, table } from "../dom.js";
import { count, duration, percent } from "../format.js";
import { absent, percentiles, percentileTable, valueCount } from "./plots.js";

const FIGURES = {
  ttft_ms: ["TTFT", "first token - sent"], ttfa_ms: ["TTFT without reasoning", "first token that is not reasoning - sent"],
  tpot_ms: ["TPOT", "(last token - first token) / (output tokens - 1)"], gap_ms: ["Gap", "read with output - previous read with output"],
  e2e_ms: ["End to end", "last byte - sent"], intended_ttft_ms: ["TTFT from intended time", "first token - intended"],
  intended_e2e_ms: ["End to end from intended time", "last byte - intended"], lag_ms: ["Lag", "sent - scheduled"],
  intended_lag_ms: ["Lag from intended time", "sent - intended"],
};
const COLUMNS = { mean: "Mean", min: "Min", p50: "p50", p90: "p90", p95: "p95", p99: "p99", p99_9: "p99.9", max: "Max" };
const INTENDED = "Intended time: when the request would have been sent if no earlier request of its session had been late.";

function percentileChart({ id, title, units, caption, lines, wide }) {
  const known = lines.filter(({ values }) => values);
  if (!known.length) return null;
  const counts = [...new Set(known.map(({ values }) => valueCount(values.count)))].join(" and ");
  return figure({ id, title, units: `${units}, by percentile; ${counts}`, caption, wide, spec: percentiles(known), ...percentileTable(known) });
}

export function latency({ latency: of }) {
  // Without reasoning both are equal, and one line would hide the other.
  const reasoned = JSON.stringify(of.ttfa_ms) !== JSON.stringify(of.ttft_ms);
  const known = Object.entries(FIGURES).filter(([key]) => of[key]);
  const line = (key, more = {}) => ({ name: FIGURES[key][0], values: of[key], ...more });
  const second = { color: "var(--c2)", dash: [5, 3] };
  const figures = [
    percentileChart({
      id: "ttft", title: "Time to first token", units: "successful requests", caption: `${INTENDED}${of.ttfa_ms && !reasoned ? " The first token without reasoning has the same times." : ""}`,
      lines: [line("ttft_ms"), ...(reasoned ? [line("ttfa_ms", { color: "var(--c3)" })] : []), line("intended_ttft_ms", second)],
    }),
    percentileChart({ id: "e2e", title: "End to end", units: "successful requests", caption: `${INTENDED}`, lines: [line("e2e_ms"), line("intended_e2e_ms", second)] }),
    percentileChart({
      id: "tpot", title: "Time per output token, and gaps", units: "TPOT per request; gaps between reads with output",
      caption: "TPOT of outputs of 2 tokens or more. Several tokens in one read have no gap; percentiles of gaps are accurate to 0.4 %.", lines: [line("tpot_ms"), line("gap_ms", second)],
    }),
    percentileChart({ id: "lag", title: "Lag", units: "all requests sent", caption: "From scheduled time: the client's own lag. From intended time: with the lag of earlier requests of the session.", lines: [line("lag_ms"), line("intended_lag_ms", second)] }),
  ].filter(Boolean);
  return section(
    "latency", "Latency",
    el("p", { class: "note" }, "Successful requests of the whole run; lag of all requests sent. A percentile is always a measured value (nearest rank)."),
    known.length ? table("", [
      { label: "", left: true, text: ([key]) => FIGURES[key][0] },
      { label: "Values", text: ([key]) => count(of[key].count) },
      ...Object.entries(COLUMNS).map(([name, label]) => ({ label, text: ([key]) => duration(of[key][name]) })),
    ], known, { id: "latency-table" }) : null,
    numbers("", [
      { label: "", left: true, text: ([key]) => FIGURES[key][0] }, { label: "Formula", left: true, text: ([key]) => FIGURES[key][1] },
    ], known, "Formulas"),
    el("div", { class: "figures" }, figures),
    absent(Object.keys(FIGURES).filter((key) => !of[key]).map((key) => FIGURES[key][0])),
  );
}

// How much the client itself adds.
export function client({ client: own }) {
  const rows = [
    ["Lag: the larger p99 of event loops and of sending", duration(own.lag_p99_ms)], ["Share of the median time to first token", percent(own.share_of_ttft)],
    ["Limit", percent(own.limit)], ["Limited by the client", own.lag_p99_ms === null || own.lag_p99_ms === undefined ? "unknown" : own.client_limited ? "yes" : "no"],
  ];
  const loops = own.loop_lag_ms ? percentileChart({ id: "loop-lag", title: "Lag of the event loops", units: "delay of timers", caption: null, wide: true, lines: [{ name: "Loop lag", values: own.loop_lag_ms }] }) : null;
  return section(
    "client", "Client",
    el("p", { class: "note" }, "Timestamps and sending may be late by this much. Above the limit, figures measure the client as much as the server. Without streaming, the share is of the median time to the last byte."),
    table("", [{ label: "", left: true, text: ([label]) => label }, { label: "", text: ([, value]) => value }], rows, { id: "client-table" }),
    loops ? el("div", { class: "figures" }, loops) : null, absent(loops ? [] : ["lag of the event loops"]),
  );
}
