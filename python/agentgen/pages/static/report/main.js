// The report page.

import { contents, el, pageData, section, table } from "../dom.js";
import { count } from "../format.js";
import { METRICS, made, targets, tiles } from "./made.js";
import { distributions, sessions } from "./lengths.js";
import { reuse } from "./reuse.js";

function sampleNote({ cut, traces, runs, labels, sample }) {
  const parts = traces.flatMap((trace, index) => {
    if (!cut[index]) return [];
    const whole = runs[index]?.quality?.written?.sessions;
    const of = whole ? ` of ${count(whole)}` : "";
    const exact = whole ? " Totals, targets, distributions (but that of prompts), ends, groups and the table of hit rates are of all of them." : "";
    return [`${labels.length > 1 ? `${labels[index]}: ` : ""}Curves, layers and contexts by turn are of the first ${count(sample)} sessions${of} in the file.${exact}`];
  });
  return parts.length ? el("p", { class: "callout", id: "sample" }, parts.join(" ")) : null;
}

// The distances between the distributions of two traces.
function comparison({ traces, distances, labels }) {
  const ks = new Map(distances.map((distance) => [distance.metric, distance.ks]));
  const rows = Object.entries(METRICS).filter(([name]) => traces.some((trace) => trace.lengths[name]));
  const column = (of, index, statistic) => ({ label: `${of}, ${labels[index]}`, text: ([name, [, , format]]) => (traces[index].lengths[name] ? format(traces[index].lengths[name][statistic]) : "–") });
  return section(
    "comparison", "Side by side",
    el("p", { class: "note" }, "KS: two-sample Kolmogorov-Smirnov distance, the largest difference between the cumulative distributions: 0 for equal distributions, 1 for disjoint ones."),
    table("", [
      { label: "", left: true, text: ([, [title]]) => title }, column("Mean", 0, "mean"), column("Mean", 1, "mean"), column("Median", 0, "median"), column("Median", 1, "median"),
      { label: "KS", text: ([name]) => (ks.has(name) ? ks.get(name).toFixed(3) : "–") },
    ], rows, { id: "distances-table" }),
  );
}

{
  const data = pageData();
  const several = data.traces.length > 1;
  const labels = data.names.map((name, index) => (several ? `${"AB"[index]}: ${name}` : name));
  const shown = { ...data, labels };
  const parts = [
    section("made", several ? "The traces" : data.runs[0] ? "The run" : "The trace", data.traces.map((trace, index) => made(trace, data.runs[index], several ? labels[index] : null))),
    several ? comparison(shown) : data.runs[0]?.quality ? targets(data.runs[0].quality) : null,
    distributions(shown), sessions(shown), reuse(shown),
  ].filter(Boolean);
  const top = several ? [] : [tiles(data.traces[0], data.runs[0])];
  document.getElementById("main").append(...[...top, sampleNote(shown), contents(parts), ...parts].filter(Boolean));
}
