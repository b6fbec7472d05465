// The trace, the server and the load, and what limits the use of the figures.

import { el, facts, section } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { absent } from "./plots.js";

const LOADS = {
  closed: (settings) => `closed loop, ${count(settings.concurrency)} open session${settings.concurrency === 1 ? "" : "s"}`,
  trace: () => "open loop, arrival times of the trace",
  poisson: (settings) => `open loop, random arrivals, ${short(settings.session_rate)} sessions/s, seed ${settings.seed}`,
};
const HISTORIES = { live: "the server's own answers", recorded: "recorded answers, or text of the recorded length" };
const KINDS = { "block-hash": "block hashes", messages: "messages" };
const ENDPOINTS = { chat: "chat completions", completions: "completions" };
const LENGTHS = { exact: "exact", approximate: "approximate: the server tokenizes text itself" };
const ESTIMATED = "estimated: the trace holds text, which the server tokenizes";

function code(texts) {
  return [texts].flat().flatMap((text, index) => [...(index ? [el("br")] : []), el("code", {}, text)]);
}

function seconds(value) {
  return value === null || value === undefined ? "none" : duration(1000 * value);
}

function utc(time) {
  return time.replace("T", " ").replace(/(\.\d+)?\+00:00$/, " UTC");
}

function delays({ time_scale: scale, max_delay: longest }) {
  const scaled = scale === 1 ? "those of the trace" : scale === 0 ? "none" : `${short(scale)} × those of the trace`;
  return longest === null || longest === undefined ? scaled : `${scaled}, at most ${seconds(longest)}`;
}

function traceFacts(trace) {
  const known = (name) => trace[name] !== undefined && trace[name] !== null;
  return [
    ["File or directory", known("path") ? code(trace.path) : null],
    ["Size", known("sessions") ? `${count(trace.sessions)} sessions, ${count(trace.requests)} requests` : null],
    ["Tokens", known("context_tokens") ? `${short(trace.context_tokens)} in prompts, ${short(trace.input_tokens)} of them new; ${short(trace.output_tokens)} in outputs` : null],
    ["Longest request", known("max_request_tokens") ? `${count(trace.max_request_tokens)} tokens` : null],
    ["Prompts given as", KINDS[trace.kind]], ["Prompt lengths", trace.kind === "messages" ? ESTIMATED : LENGTHS[trace.tokens]],
  ];
}

function serverFacts(settings, known, list) {
  return [
    ["URL", list("url")], ["Model", known("model") ? code(settings.model) : null],
    ["Kind", settings.embedded_server ? "the embedded server, which models time and cache" : null],
    ["API", known("endpoint") ? `${ENDPOINTS[settings.endpoint] ?? settings.endpoint}, ${settings.stream === false ? "complete responses" : "streamed"}` : null],
    ["Prompts", known("prompt_mode") ? (settings.prompt_mode === "text" ? "text" : "token ids") : null],
    ["Earlier answers in prompts", known("history") ? HISTORIES[settings.history] ?? settings.history : null],
    ["Tokenizer", known("tokenizer") ? code(settings.tokenizer) : null], ["Salt", known("salt") ? code(settings.salt) : null],
    ["Session header", list("session_header")], ["Other headers (values are not kept)", list("header")],
    ["Additional request fields (values: summary.json)", list("request_fields")],
  ];
}

function loadFacts(settings, known) {
  const limits = [
    known("max_sessions") ? `${count(settings.max_sessions)} sessions` : null, known("duration") ? `${seconds(settings.duration)} until the last request` : null,
  ].filter(Boolean);
  return [
    ["Sessions", known("load") ? LOADS[settings.load]?.(settings) ?? settings.load : null],
    ["Delays", known("time_scale") ? delays(settings) : null], ["At most", limits.join(", ") || null],
    ["Warm-up", known("warmup_sessions") ? (settings.warmup_sessions ? `${count(settings.warmup_sessions)} sessions` : "none") : null],
    ["Workers", known("workers") ? count(settings.workers) : null],
    ["Time limits", known("connect_timeout") ? `connect ${seconds(settings.connect_timeout)}, first token ${seconds(settings.first_token_timeout)}, request ${seconds(settings.timeout)}` : null],
    ["Retries after 429 or 503", known("retries") ? (settings.retries ? `up to ${count(settings.retries)} times` : "never") : null],
  ];
}

export function played({ trace, settings, started, ended }) {
  const given = settings ?? {};
  const known = (name) => given[name] !== undefined && given[name] !== null;
  const list = (name) => (known(name) && given[name].length ? code(given[name]) : null);
  const groups = [
    ["Trace", traceFacts(trace ?? {})], ["Server", serverFacts(given, known, list)],
    ["Load", [...loadFacts(given, known), ["Started", started ? utc(started) : null], ["Ended", ended ? utc(ended) : null]]],
  ].map(([title, all]) => [title, all.filter(([, value]) => value !== null && value !== undefined)]).filter(([, all]) => all.length);
  const missing = [trace ? null : "what was replayed", settings ? null : "the settings", started ? null : "the time of the run"];
  return section("played", "What was replayed", groups.map(([title, all]) => el("div", {}, el("h3", {}, title), facts(all))), absent(missing.filter(Boolean)));
}

function callout(id, title, ...texts) {
  return el("div", { class: "callout", id, role: "note" }, el("strong", {}, title), texts.map((text) => el("p", {}, text)));
}

// Errors, incompleteness and warnings; empty for a valid run.
export function notices({ errors, warnings, incomplete, records, client }) {
  const of = (kind) => warnings.filter((text) => text.startsWith(`${kind}: `)).map((text) => text.slice(kind.length + 2));
  const others = warnings.filter((text) => !/^(incomplete|client-limited): /.test(text));
  const truncated = records.truncated ? `${count(records.truncated)} of ${count(records.files)} record files are truncated.` : null;
  const why = of("incomplete").join("; ") || "records are missing";
  return [
    errors.length ? callout("errors", "Figures are wrong", ...errors) : null,
    incomplete ? callout("incomplete", `Incomplete: ${why}`, "The run ended early, or records are missing. All figures count only what was recorded.", ...[truncated].filter(Boolean)) : null,
    client.client_limited ? callout(
      "client-limited", "Limited by the client",
      `The 99th percentile of the client's own lag is ${duration(client.lag_p99_ms)}: ${percent(client.share_of_ttft)} of the median time to the first token (to the last byte, without streaming). ` +
      `Above ${percent(client.limit)}, figures measure the client as much as the server. Use more workers or less load.`,
    ) : null,
    others.length ? callout("warnings", "Warnings", ...others) : null,
  ].filter(Boolean);
}
