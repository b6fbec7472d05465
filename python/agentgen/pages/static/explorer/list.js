// The session list: filtered, sorted and paged. A row is a tree: a root session with its continuations, breaks and sub-agents, which
// open below it. Each session is a button with the bar of its last request.

import { el } from "../dom.js";
import { count, percent } from "../format.js";
import { bar } from "./bars.js";

const PAGE = 25;
const ORDERS = {
  file: ["file order", (a, b) => a.number - b.number],
  prompt: ["largest last prompt", (a, b) => b.prompt - a.prompt],
  turns: ["most requests", (a, b) => b.requests - a.requests],
  low: ["least cached", (a, b) => a.rate - b.rate],
  high: ["most cached", (a, b) => b.rate - a.rate],
  computed: ["most tokens computed", (a, b) => b.computed - a.computed],
};
const KINDS = { continuation: "with continuations", break: "with breaks", "sub-agent": "with sub-agents" };

function choice(id, label, options) {
  return el("label", {}, label, el("select", { id }, options.map(([value, text]) => el("option", { value }, text))));
}

function distinct(values) {
  return [...new Set(values.filter((value) => value !== null))].sort((a, b) => (a > b) - (a < b));
}

function kindOf(session) {
  return session.is_continuation ? "continuation" : session.kind;
}

// A root session with all under it, and the figures by which trees are sorted.
function treeOf(root, members) {
  const sum = (of) => members.reduce((all, session) => all + of(session), 0);
  const prompts = sum((session) => session.prompts);
  return {
    root, members, number: root.number, requests: sum((session) => session.turn_count), computed: sum((session) => session.computed),
    prompt: Math.max(...members.map((session) => session.last.prompt)), rate: prompts ? sum((session) => session.hits) / prompts : 0,
  };
}

const TITLES = { continuation: "continues another session", break: "begins where another session's history was rewritten", "sub-agent": "was started by another session" };

// `choose` is called with the number of the clicked session.
export function sessionList(sessions, choose) {
  const trees = [...Map.groupBy(sessions, (session) => session.root)].map(([root, members]) => treeOf(root, members));
  const kinds = Object.entries(KINDS).filter(([kind]) => sessions.some((session) => kindOf(session) === kind));
  const groups = distinct(sessions.map((session) => session.group_id));
  const ends = distinct(sessions.map((session) => session.end_reason));
  const search = el("input", { id: "search", type: "search", placeholder: "part of a session id", autocomplete: "off", spellcheck: "false" });
  const controls = el(
    "form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() }, el("label", {}, "Search", search),
    choice("order", "Sort by", Object.entries(ORDERS).map(([value, [text]]) => [value, text])),
    groups.length > 1 ? choice("group", "Group", [["", "all"], ...groups.map((group) => [String(group), String(group)])]) : null,
    ends.length > 1 ? choice("end", "Ended by", [["", "all"], ...ends.map((end) => [end, end])]) : null,
    kinds.length ? choice("kind", "Show", [["", "all"], ...kinds]) : null,
  );
  const status = el("p", { class: "note", id: "status", role: "status" });
  const list = el("ol", { class: "sessions", id: "sessions" });
  const back = el("button", { type: "button", id: "back" }, "Previous");
  const next = el("button", { type: "button", id: "next" }, "Next");
  const state = { page: 0, chosen: null };
  const scale = Math.max(1, ...sessions.map((session) => session.last.prompt + session.last.output));

  const value = (id) => controls.querySelector(`#${id}`)?.value ?? "";
  const isFound = (session) => session.name.toLowerCase().includes(search.value.trim().toLowerCase())
    && (!value("group") || String(session.group_id) === value("group")) && (!value("end") || session.end_reason === value("end"))
    && (!value("kind") || kindOf(session) === value("kind"));
  const found = () => trees.filter((tree) => tree.members.some(isFound)).sort((a, b) => ORDERS[value("order")][1](a, b) || a.number - b.number);
  const isFiltered = () => Boolean(search.value.trim() || value("end") || value("kind"));
  const button = (session, about) => {
    const kind = kindOf(session);
    const mark = kind ? el("span", { role: "img", "aria-label": `${kind}:`, title: TITLES[kind] }, "↳ ") : null;
    return el(
      "button", { type: "button", "data-number": session.number, "aria-pressed": String(session.number === state.chosen), onclick: () => choose(session.number) },
      el("span", { class: "name" }, mark, el("bdi", {}, session.name)), el("span", { class: "about" }, about.filter(Boolean).join(" · ")), bar(session.last, scale),
    );
  };
  const requests = (times) => `${count(times)} ${times === 1 ? "request" : "requests"}`;
  const member = (session) => el("li", {}, button(session, [kindOf(session), session.lost ? `lost ${count(session.lost)} tokens` : null, requests(session.turn_count), `${percent(session.rate)} cached`]));
  const row = (tree) => {
    const { root, members } = tree;
    const others = members.filter((session) => session !== root);
    const about = [kindOf(root), root.group_id === null ? null : `group ${root.group_id}`, requests(tree.requests), `${percent(tree.rate)} cached`];
    if (!others.length) return el("li", {}, button(root, about));
    const counts = Object.keys(KINDS).map((kind) => [kind, others.filter((session) => kindOf(session) === kind).length]).filter(([, times]) => times);
    const details = el("details", { class: "tree" }, el("summary", {}, counts.map(([kind, times]) => `${count(times)} ${kind}${times === 1 ? "" : "s"}`).join(", ")));
    const open = () => {
      if (details.open && details.childElementCount === 1) details.append(el("ol", { class: "sessions" }, others.map(member)));
    };
    details.addEventListener("toggle", open);
    details.open = others.some((session) => session.number === state.chosen) || (isFiltered() && !isFound(root));
    open();
    return el("li", {}, button(root, about), details);
  };
  const show = () => {
    const all = found();
    const pages = Math.max(1, Math.ceil(all.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PAGE;
    list.replaceChildren(...all.slice(first, first + PAGE).map(row));
    list.start = first + 1;
    status.textContent = all.length ? `${count(first + 1)} to ${count(Math.min(first + PAGE, all.length))} of ${count(all.length)} ${trees.length < sessions.length ? "trees" : "sessions"}` : "No matching session.";
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
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const buttons = [...list.querySelectorAll("button")].filter((one) => one.offsetParent);
    const other = step && buttons[buttons.indexOf(event.target.closest("button")) + step];
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
    const holds = (tree) => tree.members.some((session) => session.number === number);
    if (!found().some(holds)) controls.reset();
    state.page = Math.floor(Math.max(0, found().findIndex(holds)) / PAGE);
    state.chosen = number;
    show();
  };
  const focus = (number) => {
    reveal(number);
    list.querySelector(`button[data-number="${number}"]`)?.focus();
  };
  show();
  return { focus, element: el("div", {}, controls, status, list, el("div", { class: "controls pages" }, back, next)), mark, reveal };
}
