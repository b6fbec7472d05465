// Vega-Lite charts of a simulation over virtual time.

import { COLORS } from "../chart.js";
import { duration } from "../format.js";

/** The time unit of a chart of this duration: its name and its ms. */
export function timeUnit(ms) {
  if (ms >= 3 * 3_600_000) return { name: "h", ms: 3_600_000 };
  return ms >= 3 * 60_000 ? { name: "min", ms: 60_000 } : { name: "s", ms: 1000 };
}

/**
 * Lines, or stacked areas, over virtual time. `rows`: points with `time_ms` and a number for each of
 * `series`: [{ name, color, text: (number) => string }]; `rule`: { value, label }, drawn across.
 */
export function overTime({ rows, durationMs, series, isStacked, axis, domain, rule }) {
  const unit = timeUnit(durationMs);
  const values = rows.map((row) => {
    const shown = { t: row.time_ms / unit.ms, Time: duration(row.time_ms) };
    for (const { name, text } of series) {
      shown[name] = row[name];
      shown[`${name} `] = row[name] === null ? "–" : text(row[name]);
    }
    return shown;
  });
  const names = series.map(({ name }) => name);
  const x = { field: "t", type: "quantitative", title: `virtual time, ${unit.name}`, scale: { domainMax: durationMs / unit.ms, nice: false } };
  const y = { field: "value", type: "quantitative", title: null, axis, scale: domain ? { domain } : {}, stack: isStacked ? "zero" : null };
  const range = series.map(({ color }) => COLORS[color]);
  const color = { field: "key", type: "nominal", scale: { domain: names, range }, sort: names, legend: series.length > 1 ? {} : null };
  const position = `indexof(${JSON.stringify(names)}, datum.key)`;
  const mark = isStacked
    ? { type: "area", interpolate: "step-after", opacity: 0.85 }
    : { type: "line", interpolate: "step-after", strokeWidth: 1.6 };
  const hover = {
    params: [{ name: "hover", select: { type: "point", on: "pointerover", nearest: true, encodings: ["x"], clear: "pointerout" } }],
    mark: { type: "rule", strokeWidth: 1 },
    encoding: {
      x,
      opacity: { condition: { param: "hover", empty: false, value: 0.7 }, value: 0 },
      tooltip: [{ field: "Time" }, ...names.map((name) => ({ field: `${name} `, title: name }))],
    },
  };
  const line = {
    data: { values: [rule] },
    mark: { type: "rule", strokeDash: [5, 4], strokeWidth: 1.2, tooltip: rule?.label },
    encoding: { y: { datum: rule?.value, type: "quantitative" } },
  };
  return {
    data: { values },
    layer: [
      { transform: [{ fold: names }, { calculate: position, as: "position" }], mark, encoding: { x, y, color, order: { field: "position" } } },
      ...(rule ? [line] : []),
      hover,
    ],
  };
}
