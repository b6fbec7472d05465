// Charts that change: each is drawn in a task of its own, so that the page stays responsive.

import { figure } from "../chart.js";
import { numbers } from "../dom.js";

const figures = new Map();
/** Charts still to be drawn, by id. */
const waiting = new Map();
let drawing = null;

/** Shows charts: [box, definition] pairs. A definition that is still to be drawn is replaced. */
export function show(parts) {
  for (const part of parts) waiting.set(part[1].id, part);
  drawing ??= drawAll().finally(() => (drawing = null));
  return drawing;
}

async function drawAll() {
  while (waiting.size > 0) {
    const [id, [box, definition]] = waiting.entries().next().value;
    waiting.delete(id);
    await place(id, box, definition);
    await new Promise((resume) => setTimeout(resume));
  }
}

async function place(id, box, definition) {
  if (figures.has(id)) {
    await update(figures.get(id), definition);
    return;
  }
  const made = figure(definition);
  figures.set(id, made);
  box.append(made);
  await made.redraw();
}

async function update(known, { title, units, caption, columns, rows, spec }) {
  const chart = known.querySelector(".chart");
  // The page does not move while the chart is redrawn.
  chart.style.minHeight = `${chart.offsetHeight}px`;
  known.querySelector("h3 .units").textContent = units;
  known.querySelector("figcaption").textContent = caption;
  const before = known.querySelector("details");
  const after = numbers(title, columns, rows);
  after.open = before.open;
  before.replaceWith(after);
  await known.redraw(spec);
  chart.style.minHeight = "";
}
