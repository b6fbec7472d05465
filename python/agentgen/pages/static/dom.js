// DOM elements. Strings of the data become text, never markup.

import { NONE } from "./format.js";

// el("p", { class: "note" }, "text", element, ...): attributes that are null or false are omitted.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// The embedded data of the page.
export function pageData() {
  return JSON.parse(document.getElementById("data").textContent);
}

// URL of an embedded worker script, for new Worker().
export function workerUrl(name) {
  const text = document.getElementById(`worker-${name}`).textContent;
  return URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}

// A section with its heading, listed in the table of contents.
export function section(id, title, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), ...children);
}

// columns: [{ label, text: (row) => string, left: true for text }].
export function table(caption, columns, rows, attributes = {}) {
  const head = el("tr", {}, columns.map((column) => el("th", { scope: "col", class: column.left ? "left" : null }, column.label)));
  const cell = (row, column, index) => {
    const content = column.text(row) ?? NONE;
    return index === 0
      ? el("th", { scope: "row", class: column.left ? "left" : null }, content)
      : el("td", { class: column.left ? "left" : null }, content);
  };
  const body = rows.map((row) => el("tr", {}, columns.map((column, index) => cell(row, column, index))));
  const whole = el("table", attributes, caption ? el("caption", {}, caption) : null, el("thead", {}, head), el("tbody", {}, body));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || "table" }, whole);
}

// The numbers of a chart as a table, built when it is opened.
export function numbers(caption, columns, rows, word = "Numbers") {
  const details = el("details", { class: "numbers" }, el("summary", {}, word));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(table(caption, columns, rows));
  });
  return details;
}

// A list of names and values.
export function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// The table of contents.
export function contents(sections) {
  const link = (part) => el("li", {}, el("a", { href: `#${part.id}` }, part.querySelector("h2").textContent));
  return el("nav", { class: "contents", "aria-label": "On this page" }, el("ul", {}, sections.map(link)));
}
