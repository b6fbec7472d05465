// Throughput by window, and the run over time.

import { AXIS, COLORS, figure } from "../chart.js";
import { el, section, table } from "../dom.js";
import { count, duration, short } from "../format.js";
import { absent, overTime, steadyCaption, timeAxis } from "./plots.js";

const SECOND = 1000;
const RATES = {
  requests_per_second: "Requests/s", good_requests_per_second: "Requests/s that met all targets", prompt_tokens_per_second: "Prompt tokens/s",
  input_tokens_per_second: "New prompt tokens/s", output_tokens_per_second: "Output tokens/s",
};
const TIMES = { ttft_ms: "TTFT", tpot_ms: "TPOT", e2e_ms: "End to end" };

function windowsTable(windows) {
  const rows = [
    ["From", (window) => duration(window.from_ms)], ["Length", (window) => duration(window.duration_ms)],
    ["Requests in", (window) => count(window.requests_in)], ["Requests out", (window) => count(window.requests_out)],
    ...Object.entries(RATES).map(([key, label]) => [label, (window) => short(window[key]), key]),
    ...Object.entries(TIMES).flatMap(([key, label]) => ["p50", "p99"].map((name) => [`${label}, ${name}`, (window) => duration(window[key]?.[name]), key])),
  ].filter(([, , key]) => !key || windows.some(({ window }) => window[key] !== null && window[key] !== undefined));
  return table("Successful requests whose last byte came in the window", [
    { label: "", left: true, text: ([label]) => label }, ...windows.map(({ name, window }) => ({ label: name, text: ([, text]) => text(window) })),
  ], rows, { id: "windows-table" });
}

// Lines over the parts of the run. lines: [{ key, name, rate, color }]; a rate is a count of a part, shown per second.
function overTimeChart({ parts, steady, id, title, units, caption, lines, axis, format, wide, step }) {
  const value = (part, { key, rate }) => (part[key] === null || part[key] === undefined ? null : rate ? part[key] / (part.duration_ms / SECOND) : part[key]);
  const known = lines.filter((line) => parts.some((part) => value(part, line) !== null));
  if (!known.length) return null;
  const end = parts.at(-1).from_ms + parts.at(-1).duration_ms;
  const series = known.map((line, index) => {
    // A count spans its part, a percentile is drawn in the middle of it.
    const points = parts.map((part) => ({ x: part.from_ms + (step ? 0 : part.duration_ms / 2), y: value(part, line), t0: duration(part.from_ms), t1: format(value(part, line)), t2: line.name }));
    return { name: line.name, color: line.color ?? COLORS[index], points: step ? [...points, { ...points.at(-1), x: end }] : points };
  });
  const values = series.flatMap((one) => one.points.map((point) => point.y)).filter((y) => y !== null);
  return figure({
    id, title, units, caption: steadyCaption(steady, caption), wide,
    spec: overTime({ series, y: axis(values), tips: ["From", "Value", "Which"], end, steady, interpolate: step ? "step-after" : "linear", points: !step }),
    columns: [
      { label: "From", text: (part) => duration(part.from_ms) },
      ...known.flatMap((line) => [
        ...(line.rate ? [{ label: line.count, text: (part) => count(part[line.key]) }] : []), { label: line.name, text: (part) => format(value(part, line)) },
      ]),
    ],
    rows: parts,
  });
}

function charts({ over_time: parts, steady }) {
  const linear = () => ({ axis: AXIS.short, scale: { zero: true } });
  const part = duration(parts[0].duration_ms);
  const all = { parts, steady };
  const failed = parts.some((one) => one.failed) ? [{ key: "failed", name: "failed", count: "Failed", rate: true, color: "var(--c2)" }] : [];
  return [
    overTimeChart({
      ...all, id: "requests-over-time", title: "Throughput", units: `requests/s in parts of ${part}`, axis: linear, format: short, wide: true, step: true,
      caption: "Sent and failed requests count when they were sent, answered ones when their last byte came.",
      lines: [{ key: "sent", name: "sent", count: "Sent", rate: true, color: "var(--c6)" }, { key: "succeeded", name: "answered", count: "Answered", rate: true, color: "var(--c1)" }, ...failed],
    }),
    overTimeChart({
      ...all, id: "ttft-over-time", title: "Time to first token", units: `requests sent in parts of ${part}`, axis: timeAxis, format: duration,
      lines: [{ key: "ttft_p50_ms", name: "TTFT p50" }, { key: "ttft_p99_ms", name: "TTFT p99" }],
    }),
    overTimeChart({ ...all, id: "output-over-time", title: "Output", units: `tokens/s in parts of ${part}`, axis: linear, format: short, step: true, lines: [{ key: "output_tokens", name: "output tokens/s", count: "Output tokens", rate: true }] }),
    overTimeChart({
      ...all, id: "e2e-over-time", title: "End to end, and lag", units: `requests sent in parts of ${part}`, axis: timeAxis, format: duration,
      lines: [{ key: "e2e_p50_ms", name: "end to end p50" }, { key: "lag_p99_ms", name: "lag p99", color: "var(--c4)" }],
    }),
    overTimeChart({ ...all, id: "open-sessions", title: "Open sessions", units: "in the middle of each part", axis: linear, format: count, step: true, lines: [{ key: "open_sessions", name: "open sessions" }] }),
  ].filter(Boolean);
}

export function throughput(run) {
  const windows = [{ name: "Whole run", window: run.full }, { name: "Steady window", window: run.steady }].filter(({ window }) => window);
  const missing = [
    run.full ? null : "throughput, as no request succeeded", run.steady ? null : `a steady window${run.steady_missing ? ` (${run.steady_missing})` : ""}`,
    run.over_time.length ? null : "the run over time", run.over_time.some((part) => part.ttft_p50_ms !== null && part.ttft_p50_ms !== undefined) ? null : "TTFT over time",
  ];
  return section(
    "throughput", "Throughput, and the run over time",
    el("p", { class: "note" }, "Steady window of a closed loop: while all slots are filled and sessions wait for one. Of an open loop: from the time when the number of open sessions first reaches its average to the last arrival."),
    windows.length ? windowsTable(windows) : null, run.over_time.length ? el("div", { class: "figures" }, charts(run)) : null, absent(missing.filter(Boolean)),
  );
}
