// The session list: filtered, sorted and paged; each session is a button with the bar of its last request.

import { el } from "../dom.js";
import { count, percent } from "../format.js";
import { bar } from "./bars.js";

const PAGE = 25;
const ORDERS = {
  file: ["file order", (a, b) => a.number - b.number],
  prompt: ["largest last prompt", (a, b) => b.last.prompt - a.last.prompt],
  turns: ["most requests", (a, b) => b.turn_count - a.turn_count],
  low: ["least cached", (a, b) => a.rate - b.rate],
  high: ["most cached", (a, b) => b.rate - a.rate],
  computed: ["most tokens computed", (a, b) => b.computed - a.computed],
};
const KINDS = { all: "all", continuation: "continuations", continued: "with continuations" };

function choice(id, label, options) {
  return el("label", {}, label, el("select", { id }, options.map(([value, text]) => el("option", { value }, text))));
}

function distinct(values) {
  return [...new Set(values.filter((value) => value !== null))].sort((a, b) => (a > b) - (a < b));
}

const TITLES = { continuation: "continues another session", break: "begins where another session's history was rewritten", "sub-agent": "was started by another session" };

// `choose` is called with the number of the clicked session.
export function sessionList(sessions, choose) {
  const groups = distinct(sessions.map((session) => session.group_id));
  const ends = distinct(sessions.map((session) => session.end_reason));
  const search = el("input", { id: "search", type: "search", placeholder: "part of a session id", autocomplete: "off", spellcheck: "false" });
  const controls = el(
    "form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() }, el("label", {}, "Search", search),
    choice("order", "Sort by", Object.entries(ORDERS).map(([value, [text]]) => [value, text])),
    groups.length > 1 ? choice("group", "Group", [["", "all"], ...groups.map((group) => [String(group), String(group)])]) : null,
    ends.length > 1 ? choice("end", "Ended by", [["", "all"], ...ends.map((end) => [end, end])]) : null,
    sessions.some((session) => session.is_continuation) ? choice("kind", "Show", Object.entries(KINDS)) : null,
  );
  const status = el("p", { class: "note", id: "status", role: "status" });
  const list = el("ol", { class: "sessions", id: "sessions" });
  const back = el("button", { type: "button", id: "back" }, "Previous");
  const next = el("button", { type: "button", id: "next" }, "Next");
  const state = { page: 0, chosen: null };
  const scale = Math.max(1, ...sessions.map((session) => session.last.prompt + session.last.output));

  const value = (id) => controls.querySelector(`#${id}`)?.value ?? "";
  const found = () => {
    const text = search.value.trim().toLowerCase();
    const kind = value("kind");
    const fits = (session) => session.name.toLowerCase().includes(text)
      && (!value("group") || String(session.group_id) === value("group")) && (!value("end") || session.end_reason === value("end"))
      && (kind !== "continuation" || session.is_continuation) && (kind !== "continued" || session.continuedBy.length > 0);
    return sessions.filter(fits).sort((a, b) => ORDERS[value("order")][1](a, b) || a.number - b.number);
  };
  const row = (session) => {
    const about = [session.kind, session.group_id === null ? null : `group ${session.group_id}`, `${count(session.turn_count)} ${session.turn_count === 1 ? "request" : "requests"}`, `${percent(session.rate)} cached`];
    const button = el(
      "button", { type: "button", "data-number": session.number, "aria-pressed": String(session.number === state.chosen), onclick: () => choose(session.number) },
      el("span", { class: "name" }, session.is_continuation || session.kind ? el("span", { role: "img", "aria-label": `${session.kind ?? "continuation"}:`, title: TITLES[session.kind ?? "continuation"] }, "↳ ") : null, el("bdi", {}, session.name)), el("span", { class: "about" }, about.filter(Boolean).join(" · ")), bar(session.last, scale),
    );
    return el("li", {}, button);
  };
  const show = () => {
    const all = found();
    const pages = Math.max(1, Math.ceil(all.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PAGE;
    list.replaceChildren(...all.slice(first, first + PAGE).map(row));
    list.start = first + 1;
    status.textContent = all.length ? `${count(first + 1)} to ${count(Math.min(first + PAGE, all.length))} of ${count(all.length)} sessions` : "No matching session.";
    back.disabled = state.page === 0;
    next.disabled = state.page >= pages - 1;
  };
  const turnPage = (by) => {
    state.page += by;
    show();
  };
  back.addEventListener("click", () => turnPage(-1));
  next.addEventListener("click", () => turnPage(1));
  controls.addEventListener("input", () => {
    state.page = 0;
    show();
  });
  // Arrow keys move between sessions.
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const other = step && event.target.closest("li")?.[step]?.querySelector("button");
    if (!other) return;
    event.preventDefault();
    other.focus();
  });
  const mark = (number) => {
    state.chosen = number;
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.number) === number));
  };
  // Shows the page of the list with a session, clearing filters that hide it.
  const reveal = (number) => {
    if (!found().some((session) => session.number === number)) controls.reset();
    state.page = Math.floor(Math.max(0, found().findIndex((session) => session.number === number)) / PAGE);
    show();
    mark(number);
  };
  const focus = (number) => {
    reveal(number);
    list.querySelector(`button[data-number="${number}"]`)?.focus();
  };
  show();
  return { focus, element: el("div", {}, controls, status, list, el("div", { class: "controls pages" }, back, next)), mark, reveal };
}
