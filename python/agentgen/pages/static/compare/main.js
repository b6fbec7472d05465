// The page of a comparison: what differs, figures side by side, and whether differences are more than noise.

import { el, contents, pageData, section, table } from "../dom.js";
import { NONE, count, percent } from "../format.js";

const SHARES = new Set(["success_share", "cache_hit_rate"]);
const VERDICTS = { better: "better", worse: "worse", within_noise: "within noise", unknown: "unknown" };
const UNITS = [["_ms", ", ms"], ["_per_second", "/s"]];

function label(name) {
  const [suffix, unit] = UNITS.find(([end]) => name.endsWith(end)) ?? ["", ""];
  return name.slice(0, name.length - suffix.length).replaceAll("_", " ") + unit;
}

// Three significant digits, as in the terminal.
function digits(value) {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) >= 100 ? count(Math.round(value)) : value.toPrecision(3);
}

function interval(ends, show) {
  return ends ? `${show(ends[0])} to ${show(ends[1])}` : NONE;
}

function verdictOf(value) {
  return value?.verdict ? el("span", { class: `verdict ${value.verdict}` }, VERDICTS[value.verdict]) : NONE;
}

// One sentence for each other run.
function summaryOf(comparison, group, at) {
  const named = (verdict) => comparison.figures.filter((row) => row.values[at]?.verdict === verdict).map((row) => label(row.name));
  const parts = ["better", "worse"].map((verdict) => [verdict, named(verdict)]).filter(([, names]) => names.length);
  const clear = parts.map(([verdict, names]) => `${verdict} in ${names.join("; ")}`).join(". It is ");
  const first = comparison.groups[0].label;
  return el("p", {}, clear ? `${group.label} against ${first}: it is ${clear}.` : `${group.label} against ${first}: no difference is more than noise.`);
}

function runs({ groups }) {
  const columns = [
    { label: "Run", left: true, text: (group) => group.label },
    { label: "Directories", left: true, text: (group) => group.directories.join(", ") },
    { label: "Sessions", text: (group) => count(group.sessions) },
    { label: "Succeeded", text: (group) => count(group.succeeded) },
    { label: "Failed", text: (group) => count(group.failed) },
  ];
  return section("runs", "Runs", table("The first run is the baseline", columns, groups, { id: "runs-table" }));
}

function figures(comparison) {
  const { groups } = comparison;
  const show = (row) => (SHARES.has(row.name) ? percent : digits);
  const others = groups.slice(1).map((group, index) => [group, index + 1]);
  const columns = [
    { label: "Figure", left: true, text: (row) => label(row.name) },
    ...groups.map((group, at) => ({ label: group.label, text: (row) => show(row)(row.values[at]?.value) })),
    ...others.flatMap(([group, at]) => [
      { label: `${group.label} / ${groups[0].label}`, text: (row) => digits(row.values[at]?.ratio) },
      { label: "Verdict", left: true, text: (row) => verdictOf(row.values[at]) },
      { label: "Interval", text: (row) => interval(row.values[at]?.ratio_interval, digits) },
    ]),
  ];
  const rows = comparison.figures.filter((row) => row.values.some(Boolean));
  const share = `${100 * comparison.confidence} %`;
  const note = `Latencies are of successful requests, lag is of all requests sent. A difference is more than noise if the ${share} bootstrap interval of its ratio (${count(comparison.resamples)} draws) does not hold 1. Intervals of a single run show how its sessions vary, not how runs vary.`;
  return section("figures", "Figures", ...others.map(([group, at]) => summaryOf(comparison, group, at)), table("Full window", columns, rows, { id: "figures-table" }), el("p", { class: "note" }, note));
}

function differences({ warnings }) {
  if (!warnings.length) return null;
  return section("differences", "What differs", el("ul", {}, warnings.map(({ message }) => el("li", {}, message))));
}

{
  const comparison = pageData();
  const parts = [runs(comparison), differences(comparison), figures(comparison)].filter(Boolean);
  document.getElementById("main").append(contents(parts), ...parts);
}
