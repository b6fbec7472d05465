// How long requests took: percentiles side by side.

import { figure } from "../chart.js";
import { el, numbers, section, table } from "../dom.js";
import { count, duration, percent } from "../format.js";
import { absent, percentiles, percentileTable, valueCount } from "./plots.js";

const FIGURES = {
  ttft_ms: ["TTFT", "first token - sent"], ttfa_ms: ["TTFT, not reasoning", "first token that is not reasoning - sent"],
  tpot_ms: ["TPOT", "(last token - first token) / (output tokens - 1)"], gap_ms: ["Gap", "a read with output - the one before"],
  e2e_ms: ["End to end", "last byte - sent"], intended_ttft_ms: ["TTFT, since intended", "first token - intended"],
  intended_e2e_ms: ["End to end, since intended", "last byte - intended"], lag_ms: ["Lag", "sent - planned"],
  intended_lag_ms: ["Lag, since intended", "sent - intended"],
};
const COLUMNS = { mean: "Mean", min: "Min", p50: "p50", p90: "p90", p95: "p95", p99: "p99", p99_9: "p99.9", max: "Max" };
const INTENDED = "Since intended: from when the request would have been sent had nothing before it been late.";

function percentileChart({ id, title, units, caption, lines, wide }) {
  const known = lines.filter(({ values }) => values);
  if (!known.length) return null;
  const counts = [...new Set(known.map(({ values }) => valueCount(values.count)))].join(" and ");
  return figure({ id, title, units: `${units}, by percentile; ${counts}`, caption, wide, spec: percentiles(known), ...percentileTable(known) });
}

export function latency({ latency: of }) {
  // Without reasoning both are the same, and one line would hide the other.
  const reasoned = JSON.stringify(of.ttfa_ms) !== JSON.stringify(of.ttft_ms);
  const known = Object.entries(FIGURES).filter(([key]) => of[key]);
  const line = (key, more = {}) => ({ name: FIGURES[key][0], values: of[key], ...more });
  const second = { color: "var(--c2)", dash: [5, 3] };
  const figures = [
    percentileChart({
      id: "ttft", title: "Time to the first token", units: "of requests that succeeded", caption: `${INTENDED}${of.ttfa_ms && !reasoned ? " The first token that is not reasoning came at the same times." : ""}`,
      lines: [line("ttft_ms"), ...(reasoned ? [line("ttfa_ms", { color: "var(--c3)" })] : []), line("intended_ttft_ms", second)],
    }),
    percentileChart({ id: "e2e", title: "End to end", units: "of requests that succeeded", caption: `${INTENDED}`, lines: [line("e2e_ms"), line("intended_e2e_ms", second)] }),
    percentileChart({
      id: "tpot", title: "Time per output token, and gaps", units: "TPOT of a request; gaps between reads with output",
      caption: "TPOT is of outputs of 2 tokens or more. Several tokens in one read make no gap; percentiles of gaps are right to 0.4 %.", lines: [line("tpot_ms"), line("gap_ms", second)],
    }),
    percentileChart({ id: "lag", title: "Lag", units: "of requests that were sent, how late", caption: "Sent since planned: the client's own lateness. Since intended: with what earlier lateness adds up to.", lines: [line("lag_ms"), line("intended_lag_ms", second)] }),
  ].filter(Boolean);
  return section(
    "latency", "Times",
    el("p", { class: "note" }, "Of requests that succeeded, over the whole run; lag of all that were sent. A percentile is always a value that occurred (nearest rank)."),
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

// The client's own part in all this.
export function client({ client: own }) {
  const rows = [
    ["Its lag: the greater p99 of loops and of sending", duration(own.lag_p99_ms)], ["Of the median time to the first token", percent(own.share_of_ttft)],
    ["Limit", percent(own.limit)], ["Limited by the client", own.lag_p99_ms === null || own.lag_p99_ms === undefined ? "not known" : own.client_limited ? "yes" : "no"],
  ];
  const loops = own.loop_lag_ms ? percentileChart({ id: "loop-lag", title: "Lag of the event loops", units: "how late timers ran", caption: null, wide: true, lines: [{ name: "Loop lag", values: own.loop_lag_ms }] }) : null;
  return section(
    "client", "The client itself",
    el("p", { class: "note" }, "A stamp may be as late as this, and a request may be sent as late as this. Above the limit, figures are of the client as much as of the server. Without streams, the share is of the median time to the last byte."),
    table("", [{ label: "", left: true, text: ([label]) => label }, { label: "", text: ([, value]) => value }], rows, { id: "client-table" }),
    loops ? el("div", { class: "figures" }, loops) : null, absent(loops ? [] : ["lag of the event loops"]),
  );
}
