// Tiles at the top of the page, and the outcomes of all requests.

import { AXIS, figure } from "../chart.js";
import { el, section, table } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { stackedBars } from "../report/plots.js";
import { absent } from "./plots.js";

const ENDS = {
  succeeded: ["succeeded", "var(--c3)"], failed: ["failed", "var(--c2)"], cancelled: ["cancelled", "var(--c4)"],
  skipped: ["skipped", "var(--c5)"], never_issued: ["never issued", "var(--c6)"],
};
const MEANINGS = {
  ok: "complete response", http_error: "HTTP error status", connect_error: "connection failed",
  connection_lost: "connection lost before a response", stream_truncated: "response ended early",
  server_error: "error event in the response", bad_response: "malformed response",
  response_too_large: "response over a size limit",
  timeout_connect: "connection timed out", timeout_first_token: "first token timed out", timeout_total: "request timed out",
  history: "the next prompt could not be built", cancelled: "cancelled at the end of the run", worker_lost: "the worker died",
};

// Failed requests, with retries and goodput as a note.
function failedTile({ counters, goodput, retries, retried_requests: again }) {
  const notes = [`of ${count(counters.planned)} planned`, retries ? `${count(again)} retried` : null, goodput ? `${percent(goodput.share)} met all targets` : null];
  return ["Failed requests", count(counters.failed), notes.filter(Boolean).join("; ")];
}

export function tiles(run) {
  const { full, steady, latency, cache } = run;
  const found = cache.reported ?? cache.server;
  const rate = (name) => [full ? short(full[name]) : null, steady ? `${short(steady[name])} in the steady window` : "no steady window"];
  const predicted = cache.predicted ? `predicted ${percent(cache.predicted.hit_rate)}` : "not predicted";
  const parts = [
    ["Requests/s", ...rate("requests_per_second")], ["Output tokens/s", ...rate("output_tokens_per_second")],
    ["TTFT, median", latency.ttft_ms && duration(latency.ttft_ms.p50), "time to first token"],
    ["TTFT, p99", latency.ttft_ms && duration(latency.ttft_ms.p99), latency.ttft_ms && `p90 ${duration(latency.ttft_ms.p90)}`],
    // Without streams there is no first token.
    ["End to end, median", latency.e2e_ms && !latency.ttft_ms ? duration(latency.e2e_ms.p50) : null, latency.e2e_ms && `p99 ${duration(latency.e2e_ms.p99)}`],
    ["TPOT, median", latency.tpot_ms && duration(latency.tpot_ms.p50), latency.tpot_ms && `per output token; p99 ${duration(latency.tpot_ms.p99)}`],
    ["Prompts cached", found && percent(found.hit_rate), found ? `of prompt tokens; ${predicted}` : null],
    failedTile(run),
  ].filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "tiles", id: "tiles" }, parts.map(([name, value, note]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null))));
}

function countsFigure(phases) {
  const names = Object.keys(ENDS).filter((end) => phases.some(({ counters }) => counters[end]));
  const rows = phases.flatMap(({ name, counters }) => names.map((end, order) => ({
    name, kind: ENDS[end][0], order, value: counters[end], t0: name, t1: ENDS[end][0], t2: count(counters[end]), t3: count(counters.planned),
  })));
  return figure({
    id: "counters", title: "Planned requests by how they ended", units: "requests", wide: true,
    caption: "Planned = succeeded + failed + cancelled + skipped + never issued. Skipped requests follow a failed one in their session; requests never issued were not due when the run ended.",
    spec: stackedBars({ rows, kinds: names.map((end) => ENDS[end][0]), palette: names.map((end) => ENDS[end][1]), axis: AXIS.short, tips: ["Phase", "Ended as", "Requests", "Planned"] }),
  });
}

function countsTable(phases) {
  return table("Requests", [
    { label: "Phase", left: true, text: ({ name }) => name }, { label: "Planned", text: ({ counters }) => count(counters.planned) },
    ...Object.entries(ENDS).map(([end, [label]]) => ({ label: label[0].toUpperCase() + label.slice(1), text: ({ counters }) => count(counters[end]) })),
    { label: "Balanced", text: ({ counters }) => (counters.balanced ? "yes" : "no") },
  ], phases, { id: "counters-table" });
}

function outcomesTable(phases) {
  const known = new Set(phases.flatMap((phase) => Object.keys(phase.outcomes)));
  const names = [...new Set([...Object.keys(MEANINGS).filter((name) => known.has(name)), ...known])];
  const statuses = [...new Set(phases.flatMap(({ http_errors: errors }) => Object.keys(errors)))];
  const row = (name) => ({ name, what: MEANINGS[name] ?? "", of: (phase) => phase.outcomes[name] });
  const status = (code) => ({ name: `status ${code}`, what: "of these, with this HTTP status", of: (phase) => phase.http_errors[code] });
  const rows = names.flatMap((name) => [row(name), ...(name === "http_error" ? statuses.map(status) : [])]);
  if (!rows.length) return null;
  return table("Outcomes of issued requests", [
    { label: "Outcome", left: true, text: (row) => el("code", {}, row.name) }, { label: "", left: true, text: (row) => row.what },
    ...phases.map((phase) => ({ label: phase.name, text: (row) => count(row.of(phase) ?? 0) })),
  ], rows, { id: "outcomes-table" });
}

export function outcomes({ run, warmup }) {
  const phases = [{ name: "run", ...run }, ...(warmup ? [{ name: "warm-up", ...warmup }] : [])];
  const notes = [
    run.retries ? `${count(run.retried_requests)} requests were retried, ${count(run.retries)} times in total.` : null,
    run.malformed_events ? `${count(run.malformed_events)} malformed events in responses were ignored.` : null,
    warmup ? "No other figure of this page includes the warm-up." : null,
  ].filter(Boolean);
  return section(
    "requests", "Requests and outcomes", run.counters.planned ? el("div", { class: "figures" }, countsFigure(phases)) : null,
    countsTable(phases), outcomesTable(phases), notes.length ? el("p", { class: "note" }, notes.join(" ")) : null,
    absent(warmup ? [] : ["a warm-up"]),
  );
}

// Targets and how many requests met them.
export function goodput({ goodput: kept, full, steady }) {
  if (!kept) return null;
  const names = { ttft_ms: "time to first token", tpot_ms: "time per output token", e2e_ms: "end to end" };
  const targets = Object.entries(names).filter(([name]) => kept.slo[name] !== null && kept.slo[name] !== undefined);
  const rate = (window) => (window ? short(window.good_requests_per_second) : "–");
  return section(
    "goodput", "Goodput",
    el("p", { class: "note" }, "Successful requests that met all targets; their share is of all that succeeded or failed."),
    table("", [
      { label: "", left: true, text: ([label]) => label }, { label: "", text: ([, value]) => value },
    ], [
      ...targets.map(([name, label]) => [`Target: ${label}, at most`, duration(kept.slo[name])]),
      ["Requests that met all targets", count(kept.requests)], ["Share", percent(kept.share)],
      ["Good requests/s, whole run", rate(full)], ...(steady ? [["Good requests/s, steady window", rate(steady)]] : []),
    ], { id: "goodput-table" }),
  );
}
