// The trace: totals, origin, and targets against observed statistics.

import { el, facts, numbers, section, table } from "../dom.js";
import { bytes, count, duration, short, percent, signedPercent } from "../format.js";

export const READ_BY = {
  metadata: "from the metadata", option: "from an option", inferred: "inferred from the rows",
};

export const METRICS = {
  initial_context: ["First prompt", "tokens", count],
  initial_context_of_continuations: ["First prompt of continuations", "tokens", count],
  context: ["Prompt", "tokens", count],
  new_tokens_per_turn: ["New tokens of a turn", "tokens", count],
  generation_length: ["Output", "tokens", count],
  inter_turn_delay_ms: ["Delay between turns", "time", duration],
  turns_per_session: ["Turns of a session", "turns", count],
};
// Names that differ in quality.json.
export const IN_QUALITY = { initial_context_of_continuations: "initial_context_continuations" };

// Totals of the whole trace from its run, or else of the sessions analyzed.
export function totals(trace, run) {
  const written = run?.quality?.written;
  return {
    sessions: written?.sessions ?? trace.sessions, continuations: written?.continuations ?? trace.continuations,
    requests: written?.turns ?? trace.requests, prompt_tokens: written?.context_tokens ?? trace.prompt_tokens,
    input_tokens: written?.input_tokens ?? trace.input_tokens, output_tokens: written?.output_tokens ?? trace.output_tokens,
    reuse: run?.quality?.reuse?.linked ?? trace.reuse.linked,
  };
}

function large(number) {
  return number < 1e6 ? count(number) : short(number);
}

export function tiles(trace, run) {
  const whole = totals(trace, run);
  const continued = whole.continuations ? `${count(whole.continuations)} continue another` : "none continues another";
  const parts = [
    ["Sessions", whole.sessions ? large(whole.sessions) : "not named", whole.sessions ? continued : "each request stands alone"],
    ["Requests", large(whole.requests), whole.sessions ? `${count(whole.requests / whole.sessions)} a session` : null],
    ["Prompt tokens", short(whole.prompt_tokens), whole.sessions ? `${short(whole.input_tokens)} of them new` : null],
    ["Output tokens", short(whole.output_tokens), `${count(whole.output_tokens / whole.requests)} a request`],
    ["Found in an infinite cache", percent(whole.reuse.token_weighted), "tokens found / tokens of the prompts"],
  ];
  return el("dl", { class: "tiles", id: "tiles" }, parts.map(([name, value, note]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null))));
}

export function made(trace, run, label) {
  const said = (how) => (how === "manifest" ? "" : `, ${READ_BY[how] ?? how}`);
  const layout = `${{ incremental: "new tokens (incremental)", cumulative: "whole prompts (cumulative)" }[trace.layout]}${said(trace.layout_from)}`;
  const size = `${count(trace.trace_block_size)} tokens${said(trace.trace_block_size_from)}`;
  const read = [["File or directory", el("code", {}, trace.trace)], ["Hash ids cover", layout], ["A hash id", size]];
  const manifest = run?.manifest;
  if (!manifest) {
    const note = el("p", { class: "note" }, "This trace has no manifest: its configuration, seed, digests and targets are unknown.");
    return el("div", {}, label ? el("h3", {}, label) : null, facts(read), note);
  }
  const files = [
    { label: "File", left: true, text: (file) => file.name ?? file.path },
    { label: "Size", text: (file) => (file.bytes === undefined ? "–" : bytes(file.bytes)) },
    { label: "SHA-256", left: true, text: (file) => el("code", {}, file.sha256 ?? file.manifest_sha256) },
  ];
  const begin = [["Made by", manifest.program], ["On", manifest.created.replace("T", " ").replace("Z", " UTC")]];
  if (manifest.import) {
    const digests = table("Files and digests", files, manifest.files);
    return el("div", {}, label ? el("h3", {}, label) : null, facts([...begin, ...imported(manifest.import), ...read]), digests);
  }
  const overrides = Object.entries(manifest.overrides).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${count(value)}`);
  const shard = manifest.shard.count > 1 ? `${manifest.shard.index} of ${count(manifest.shard.count)}, from 0` : null;
  const parts = [facts([
    ...begin, ["Seed", String(manifest.seed)],
    ["Sessions requested", count(manifest.sessions)], ["Prompt limit", `${count(manifest.config.max_prompt_tokens)} tokens`],
    ["Arrivals", typeof manifest.config.arrival === "string" ? "none (closed loop)" : `Poisson, ${manifest.config.arrival.poisson.rate} sessions/s`], ...read,
    ...(overrides.length ? [["Overrides", overrides.join(", ")]] : []), ...(shard ? [["Shard", shard]] : []),
  ])];
  const more = manifest.part_count > manifest.parts.length ? ` (the first ${manifest.parts.length} of ${count(manifest.part_count)} shards; their digests are of their manifests)` : "";
  parts.push(table(`Files and digests${more}`, files, [...manifest.files, ...manifest.parts]));
  const details = el("details", { class: "numbers" }, el("summary", {}, "Configuration"), el("pre", { tabindex: "0" }, el("code", {}, JSON.stringify(manifest.config, null, 2))));
  return el("div", {}, label ? el("h3", {}, label) : null, parts, details);
}

// What an import says of its sources.
function imported({ sources, formats, summary }) {
  const breaks = Object.entries(summary.breaks).map(([kind, found]) => `${count(found.count)} ${kind}`).join(", ");
  return [
    ["Imported from", `${count(sources)} ${sources === 1 ? "file" : "files"}: ${formats.join(", ")}`],
    ["Root sessions", count(summary.root_sessions)], ["Model calls", `${count(summary.calls)}, for ${count(summary.human_turns)} requests of users`],
    ["Sub-agents", count(summary.subagents.sessions)], ["Breaks", breaks || "none"],
    ["Lengths estimated", `${count(summary.prompts_estimated)} prompts, ${count(summary.outputs_estimated)} outputs; ${count(summary.outputs_unknown)} outputs unknown`],
  ];
}

// Targets against observed statistics.
export function targets(quality) {
  const rows = Object.entries(METRICS).map(([name, [title, , format]]) => ({ title, format, metric: quality.metrics[IN_QUALITY[name] ?? name] }));
  const known = rows.filter((row) => row.metric?.observed);
  const value = (of) => (row) => (of(row.metric) === null || of(row.metric) === undefined ? "–" : row.format(of(row.metric)));
  const columns = [
    { label: "", left: true, text: (row) => row.title + (row.metric.overridden ? " *" : "") },
    { label: "Target mean", text: value((metric) => metric.target.mean) },
    { label: "Observed mean", text: value((metric) => metric.observed.mean) },
    { label: "Error", text: (row) => signedPercent(row.metric.error_percent.mean) },
    { label: "Target median", text: value((metric) => metric.target.median) },
    { label: "Observed median", text: value((metric) => metric.observed.median) },
    { label: "Error", text: (row) => signedPercent(row.metric.error_percent.median) },
    { label: "5 %", text: value((metric) => metric.observed.p05) },
    { label: "95 %", text: value((metric) => metric.observed.p95) },
    { label: "Values", text: (row) => count(row.metric.observed.count) },
  ];
  return section(
    "targets", "Targets and observed statistics",
    el("p", { class: "note" }, "Exact, over all rows of the run (quality.json). Errors are in percent of the target; unstated values have no target."),
    table("", columns, known, { id: "targets-table" }),
    known.some((row) => row.metric.overridden) ? el("p", { class: "note" }, "* An override made the stated target impossible; it was dropped.") : null,
    numbers("Effective distributions before the context limit drops turns", [
      { label: "", left: true, text: (row) => row.title },
      { label: "Effective mean", text: value((metric) => metric.effective_target.mean) },
      { label: "Effective median", text: value((metric) => metric.effective_target.median) },
      { label: "Deviation", text: value((metric) => metric.observed.std) },
      { label: "25 %", text: value((metric) => metric.observed.p25) }, { label: "75 %", text: value((metric) => metric.observed.p75) },
      { label: "99 %", text: value((metric) => metric.observed.p99) },
    ], known),
  );
}
