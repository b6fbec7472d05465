// Figures: a Vega-Lite chart as SVG with title, units, caption, tooltips and a table of its numbers.

import { el, numbers } from "./dom.js";

// Colours of categories: distinguishable by colour-blind readers in this order, and by lightness.
export const COLORS = [1, 2, 3, 4, 5, 6].map((number) => `var(--c${number})`);

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const CONFIG = {
  aria: false, background: "transparent", font: FONT, padding: { left: 0, right: 8, top: 4, bottom: 6 },
  view: { stroke: null },
  axis: {
    labelColor: "var(--muted)", titleColor: "var(--muted)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
    gridColor: "var(--grid)", domainColor: "var(--axis)", tickColor: "var(--axis)", labelOverlap: true, titlePadding: 8,
  },
  // The title of the figure names the unit of the vertical axis.
  axisY: { domain: false, ticks: false, title: null, tickCount: 5 },
  axisX: { grid: false, labelPadding: 6 },
  legend: {
    orient: "top", title: null, labelColor: "var(--ink)", labelFontSize: 12, symbolSize: 90, labelLimit: 320, direction: "horizontal",
    columns: 3, offset: 4,
  },
  bar: { color: "var(--c1)" }, line: { color: "var(--c1)", strokeWidth: 2 }, area: { color: "var(--c1)" }, rule: { color: "var(--muted)" },
  point: { color: "var(--c1)", filled: true },
};

// Axis labels: 1.2 M, 350 k; 12 %; durations from ms: 350 ms, 12 s, 5 min, 2 h.
const SHORT = "replace(format(datum.value, '~s'), /([kMGTm])$/, ' $1')";
export const AXIS = {
  short: { labelExpr: SHORT },
  percent: { labelExpr: "format(100 * datum.value, '~f') + ' %'" },
  duration: {
    labelExpr:
      "datum.value == 0 ? '0' : datum.value < 1000 ? format(datum.value, '~r') + ' ms' : datum.value < 60000 ? " +
      "format(datum.value / 1000, '~r') + ' s' : datum.value < 3600000 ? format(datum.value / 60000, '.3~r') + ' min' : " +
      "format(datum.value / 3600000, '.3~r') + ' h'",
  },
};

// Ticks of a logarithmic axis: powers of ten, and their multiples by 2 and 5 if these are few.
export function decades(low, high) {
  const powers = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) powers.push(power);
  const values = powers.length > 4 ? powers : powers.flatMap((power) => [power, 2 * power, 5 * power]);
  return values.filter((value) => value >= low && value <= high);
}

// Width of a chart, px; narrow charts have fewer legend columns.
function widthOf(box) {
  return Math.max(240, Math.floor(box.clientWidth));
}

async function draw(box, figure) {
  const width = widthOf(box);
  if (figure.width === width || box.clientWidth === 0) return;
  figure.width = width;
  const narrow = width < 520;
  const made = figure.spec({ width, narrow });
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", width, height: narrow ? 220 : 260,
    autosize: { type: "fit", contains: "padding" }, ...made,
    config: { ...CONFIG, legend: { ...CONFIG.legend, columns: width < 360 ? 1 : width < 700 ? 2 : 4 }, ...made.config },
  };
  const tooltip = { disableDefaultStyle: true };
  const view = await window.vegaEmbed(box, spec, { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip });
  figure.view?.finalize();
  figure.view = view;
  const svg = box.querySelector("svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", figure.label);
  svg.setAttribute("focusable", "false");
  box.dataset.drawn = "yes";
}

const drawn = new Map();
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) draw(target, drawn.get(target)).catch((error) => { target.textContent = `This chart could not be drawn: ${error.message}`; throw error; });
});

// { id, title, units, caption, spec: ({ width, narrow }) => Vega-Lite, columns and rows of the table of its numbers };
// the element's redraw(spec) draws it again.
export function figure({ id, title, units, caption, spec, columns, rows, wide }) {
  const box = el("div", { class: "chart" });
  const heading = el("h3", {}, title, units ? el("span", { class: "units" }, units) : null);
  const whole = el(
    "figure", { id, class: wide ? "wide" : null }, heading, box,
    caption ? el("figcaption", {}, caption) : null,
    columns ? numbers(title, columns, rows) : null,
  );
  const chart = { spec, label: [title, units].filter(Boolean).join(", "), width: 0 };
  drawn.set(box, chart);
  whole.redraw = (changed) => {
    chart.spec = changed ?? chart.spec;
    chart.width = 0;
    return draw(box, chart);
  };
  resized.observe(box);
  return whole;
}
