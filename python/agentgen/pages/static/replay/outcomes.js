// The figures at the top, and what became of every request.

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
  ok: "a whole answer", http_error: "the server answered with a status of failure", connect_error: "no connection",
  connection_lost: "the connection was lost before an answer", stream_truncated: "the answer stopped in the middle",
  server_error: "the server told of an error within its answer", bad_response: "an answer that cannot be understood",
  timeout_connect: "no connection in time", timeout_first_token: "no first token in time", timeout_total: "not over in time",
  history: "the next prompt could not be made", cancelled: "ended by the end of the run", worker_lost: "its worker died",
};

// Requests that were sent or meant to be, and came to an end.
function failedTile({ books, goodput, retries, retried_requests: again }) {
  const notes = [`of ${count(books.planned)} planned`, retries ? `${count(again)} sent again` : null, goodput ? `${percent(goodput.share)} kept all targets` : null];
  return ["Failed requests", count(books.failed), notes.filter(Boolean).join("; ")];
}

export function tiles(run) {
  const { full, steady, latency, cache } = run;
  const found = cache.reported ?? cache.server;
  const rate = (name) => [full ? short(full[name]) : null, steady ? `${short(steady[name])} in the steady window` : "no steady window"];
  const predicted = cache.predicted ? `predicted ${percent(cache.predicted.hit_rate)}` : "not predicted";
  const parts = [
    ["Requests/s", ...rate("requests_per_second")], ["Output tokens/s", ...rate("output_tokens_per_second")],
    ["TTFT, median", latency.ttft_ms && duration(latency.ttft_ms.p50), "time to the first token"],
    ["TTFT, p99", latency.ttft_ms && duration(latency.ttft_ms.p99), latency.ttft_ms && `p90 ${duration(latency.ttft_ms.p90)}`],
    // Without streams there is no first token.
    ["End to end, median", latency.e2e_ms && !latency.ttft_ms ? duration(latency.e2e_ms.p50) : null, latency.e2e_ms && `p99 ${duration(latency.e2e_ms.p99)}`],
    ["TPOT, median", latency.tpot_ms && duration(latency.tpot_ms.p50), latency.tpot_ms && `per output token; p99 ${duration(latency.tpot_ms.p99)}`],
    ["Prompts cached", found && percent(found.hit_rate), found ? `of their tokens; ${predicted}` : null],
    failedTile(run),
  ].filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "tiles", id: "tiles" }, parts.map(([name, value, note]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null))));
}

function booksFigure(phases) {
  const names = Object.keys(ENDS).filter((end) => phases.some(({ books }) => books[end]));
  const rows = phases.flatMap(({ name, books }) => names.map((end, order) => ({
    name, kind: ENDS[end][0], order, value: books[end], t0: name, t1: ENDS[end][0], t2: count(books[end]), t3: count(books.planned),
  })));
  return figure({
    id: "books", title: "What became of the planned requests", units: "requests", wide: true,
    caption: "Planned = succeeded + failed + cancelled + skipped + never issued. Skipped requests were behind a failed one in their session; those never issued were not due yet at the end.",
    spec: stackedBars({ rows, kinds: names.map((end) => ENDS[end][0]), palette: names.map((end) => ENDS[end][1]), axis: AXIS.short, tips: ["Phase", "Requests that", "Number", "Planned"] }),
  });
}

function booksTable(phases) {
  return table("Books", [
    { label: "Phase", left: true, text: ({ name }) => name }, { label: "Planned", text: ({ books }) => count(books.planned) },
    ...Object.entries(ENDS).map(([end, [label]]) => ({ label: label[0].toUpperCase() + label.slice(1), text: ({ books }) => count(books[end]) })),
    { label: "Balanced", text: ({ books }) => (books.balanced ? "yes" : "no") },
  ], phases, { id: "books-table" });
}

function outcomesTable(phases) {
  const known = new Set(phases.flatMap((phase) => Object.keys(phase.outcomes)));
  const names = [...new Set([...Object.keys(MEANINGS).filter((name) => known.has(name)), ...known])];
  const statuses = [...new Set(phases.flatMap(({ http_errors: errors }) => Object.keys(errors)))];
  const row = (name) => ({ name, what: MEANINGS[name] ?? "", of: (phase) => phase.outcomes[name] });
  const status = (code) => ({ name: `status ${code}`, what: "of these, by status of HTTP", of: (phase) => phase.http_errors[code] });
  const rows = names.flatMap((name) => [row(name), ...(name === "http_error" ? statuses.map(status) : [])]);
  if (!rows.length) return null;
  return table("Outcomes of requests that were sent or to be sent", [
    { label: "Outcome", left: true, text: (row) => el("code", {}, row.name) }, { label: "", left: true, text: (row) => row.what },
    ...phases.map((phase) => ({ label: phase.name, text: (row) => count(row.of(phase) ?? 0) })),
  ], rows, { id: "outcomes-table" });
}

export function outcomes({ run, warmup }) {
  const phases = [{ name: "run", ...run }, ...(warmup ? [{ name: "warm-up", ...warmup }] : [])];
  const notes = [
    run.retries ? `${count(run.retried_requests)} requests were sent again, ${count(run.retries)} times in all.` : null,
    run.malformed_events ? `${count(run.malformed_events)} events of answers were not understood and left out.` : null,
    warmup ? "The warm-up enters no other figure of this page." : null,
  ].filter(Boolean);
  return section(
    "requests", "Books and outcomes", run.books.planned ? el("div", { class: "figures" }, booksFigure(phases)) : null,
    booksTable(phases), outcomesTable(phases), notes.length ? el("p", { class: "note" }, notes.join(" ")) : null,
    absent(warmup ? [] : ["a warm-up"]),
  );
}

// Targets and how many requests kept them.
export function goodput({ goodput: kept, full, steady }) {
  if (!kept) return null;
  const names = { ttft_ms: "time to the first token", tpot_ms: "time per output token after it", e2e_ms: "end to end" };
  const targets = Object.entries(names).filter(([name]) => kept.slo[name] !== null && kept.slo[name] !== undefined);
  const rate = (window) => (window ? short(window.good_requests_per_second) : "–");
  return section(
    "goodput", "Goodput",
    el("p", { class: "note" }, "Requests that succeeded and kept all targets; their share is of all that succeeded or failed."),
    table("", [
      { label: "", left: true, text: ([label]) => label }, { label: "", text: ([, value]) => value },
    ], [
      ...targets.map(([name, label]) => [`Target: ${label}, at most`, duration(kept.slo[name])]),
      ["Requests that kept all", count(kept.requests)], ["Their share", percent(kept.share)],
      ["Good requests/s, whole run", rate(full)], ...(steady ? [["Good requests/s, steady window", rate(steady)]] : []),
    ], { id: "goodput-table" }),
  );
}
