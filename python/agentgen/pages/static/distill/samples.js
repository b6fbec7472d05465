// Samples: each record beside its digest, with the judge's reasons.

import { el, facts, section, table } from "../dom.js";
import { count } from "../format.js";

function words(name) {
  return name.replaceAll("_", " ");
}

function digestOf({ digest }) {
  if (!digest) return el("p", { class: "note" }, "No digest.");
  const { notable_actions: actions, ...others } = digest;
  return [
    facts(Object.entries(others).map(([name, value]) => [words(name), value])),
    el("h4", {}, "notable actions"), el("ol", {}, actions.map((action) => el("li", {}, action))),
  ];
}

function recordOf({ record, failure }) {
  const failed = failure ? el("div", { class: "callout" }, el("p", {}, `Failed. ${failure}`)) : null;
  if (!record) return failed;
  return [
    failed, el("h4", {}, "instruction"), el("div", { class: "text" }, record.instruction),
    el("h4", {}, "response"), el("div", { class: "text" }, record.response),
    el("p", { class: "note" }, `${record.difficulty}; ${record.skill_tags.join(", ")}`),
  ];
}

function verdictsOf({ judgement }, criteria) {
  if (!judgement) return null;
  const columns = [
    { label: "Criterion", left: true, text: (name) => words(name) }, { label: "Score", text: (name) => String(judgement[name].score) },
    { label: "Reason", left: true, text: (name) => judgement[name].reasoning },
  ];
  return table("", columns, criteria);
}

function sampleOf(sample, criteria) {
  const scores = sample.judgement ? criteria.map((name) => sample.judgement[name].score).join(" ") : "";
  const repeats = sample.duplicate_of ? `; repeats ${sample.duplicate_of}` : "";
  const body = () => [
    el("div", { class: "figures" }, el("div", {}, el("h3", {}, "Digest"), digestOf(sample)), el("div", {}, el("h3", {}, "Record"), recordOf(sample))),
    verdictsOf(sample, criteria),
  ].filter(Boolean);
  const whole = el("details", { class: "sample" }, el("summary", {}, `${count(sample.index + 1)}. ${sample.id}`, el("span", { class: "units" }, [sample.kind, scores].filter(Boolean).join("; ") + repeats)));
  const open = () => { if (whole.open && whole.childElementCount === 1) whole.append(...body()); };
  whole.addEventListener("toggle", open);
  return { whole, open };
}

export function samples({ samples: all, kinds, criteria, rows }) {
  const made = all.map((sample) => ({ sample, ...sampleOf(sample, criteria) }));
  const present = kinds.filter((kind) => all.some((sample) => sample.kind === kind));
  const buttons = present.map((kind) => el("button", { type: "button", "aria-pressed": "false", onclick: () => choose(kind) }, kind));
  function choose(kind) {
    made.forEach(({ sample, whole }) => { whole.hidden = sample.kind !== kind; });
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === kind)));
  }
  choose(present[0]);
  const first = made.find(({ sample }) => sample.kind === present[0]);
  first.whole.open = true;
  first.open();
  const left = rows.in_dataset - all.length;
  const note = left > 0 ? `The first rows of each kind; ${count(left)} more are in dataset.parquet.` : "All rows.";
  return section("samples", "Samples", el("p", { class: "note" }, note), el("div", { class: "controls" }, buttons), ...made.map(({ whole }) => whole));
}
