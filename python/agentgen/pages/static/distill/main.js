// The page of distilled sessions: tiles, scores, reasons of rejection, samples.

import { el, contents, facts, pageData, section, table } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { AXIS, figure } from "../chart.js";
import { barChart, stackedBars } from "../report/plots.js";
import { samples } from "./samples.js";

const SCORES = [4, 3, 2, 1, 0];
const PALETTE = ["var(--c3)", "var(--c1)", "var(--c5)", "var(--c2)", "var(--c4)"];

function tiles({ rows, calls, cost, secrets }) {
  const total = (name) => Object.values(calls.by_model).reduce((sum, model) => sum + model[name], 0);
  const parts = [
    ["Rows", count(rows.in_dataset), `${count(rows.distilled)} distilled`],
    ["Recommended", count(rows.recommended), percent(rows.recommended / rows.in_dataset)],
    ["Failed", count(rows.failed), "in dataset.parquet with the reason"],
    ["Near-duplicates", count(rows.near_duplicates), "of an earlier record"],
    ["Secrets masked", count(secrets.masked), `in ${count(secrets.rows)} rows`],
    ["Answers", count(total("calls")), `${count(calls.corrections + calls.fresh_tries)} asked again`],
    ["Tokens", short(total("prompt_tokens") + total("completion_tokens")), `${short(total("completion_tokens"))} written`],
    ["Cost", cost === null ? null : cost.toFixed(2), "at the given prices"],
  ].filter(([, value]) => value !== null);
  return el("dl", { class: "tiles", id: "tiles" }, parts.map(([name, value, note]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, note)))));
}

function scores({ scores: found, criteria }) {
  const total = Object.values(found)[0].reduce((sum, one) => sum + one, 0);
  if (total === 0) return null;
  const name = (key) => key.replaceAll("_", " ");
  const rows = criteria.flatMap((key) => SCORES.map((score, order) => (
    { name: name(key), kind: `score ${score}`, order, value: found[key][score], t0: name(key), t1: String(score), t2: count(found[key][score]) })));
  const mean = (counts) => counts.reduce((sum, one, score) => sum + one * score, 0) / total;
  const columns = [
    { label: "Criterion", left: true, text: name }, ...SCORES.map((score) => ({ label: String(score), text: (key) => count(found[key][score]) })),
    { label: "Mean", text: (key) => mean(found[key]).toFixed(2) },
  ];
  const spec = stackedBars({ rows, kinds: SCORES.map((score) => `score ${score}`), palette: PALETTE, axis: AXIS.short, tips: ["Criterion", "Score", "Rows"] });
  return section("scores", "Scores", figure({ id: "scores-chart", title: "Judged rows by score", units: "rows", wide: true, spec, columns, rows: criteria }));
}

function rejections({ rejections: all, failures, settings, rows, records }) {
  const found = all.filter((one) => one.rows > 0);
  const written = Object.values(records).reduce((sum, one) => sum + one, 0);
  const rule = `Recommended: all five scores at least ${settings.min_score} and training value high. ${count(written)} of ${count(rows.in_dataset)} rows are in the files for fine-tuning.`;
  const bars = found.map((one) => ({ name: one.reason, value: one.rows, series: "rows", t0: one.reason, t1: count(one.rows) }));
  const columns = [{ label: "Reason", left: true, text: (row) => row.reason }, { label: "Rows", text: (row) => count(row.rows) }];
  return section(
    "rejections", "Reasons of rejection", el("p", {}, rule),
    found.length ? figure({
      id: "rejections-chart", title: "Rows that are not in the files for fine-tuning", units: "rows", wide: true, caption: "A row may have several reasons.",
      spec: barChart({ rows: bars, series: ["rows"], axis: AXIS.short, tips: ["Reason", "Rows"] }), columns, rows: found,
    }) : null,
    failures.length ? table("Failed rows", columns, failures, { id: "failures-table" }) : null,
  );
}

function about({ settings, secrets, cut, duration_s: seconds, values }) {
  const rules = Object.entries(secrets.by_rule).map(([rule, number]) => `${rule} ${count(number)}`).join(", ");
  return section("about", "How it was made", facts([
    ["Model", settings.model], ["Judge", settings.judge], ["Time", duration(1000 * seconds)],
    ["Training value", Object.entries(values).map(([value, number]) => `${value} ${count(number)}`).join(", ") || "none"],
    ["Detector of secrets", secrets.detector], ["Secrets by rule", rules || "none"],
    ["Left out of prompts", `${count(cut.characters)} characters in ${count(cut.rows)} rows`],
  ]));
}

{
  const found = pageData();
  const parts = [scores(found), rejections(found), samples(found), about(found)].filter(Boolean);
  document.getElementById("main").append(tiles(found), contents(parts), ...parts);
}
