// The cache explorer: sessions on the left, the selected one on the right (below on narrow screens).

import { el, pageData } from "../dom.js";
import { count, duration } from "../format.js";
import { legend, readTurn } from "./bars.js";
import { detail } from "./detail.js";
import { sessionList } from "./list.js";

const CLOCK_TEXTS = {
  closed: (timeline) => `a closed loop of ${count(timeline.concurrency)} sessions in file order`, arrivals: () => "sessions at their arrivals", recorded: () => "requests at their recorded times",
};

function prepared(session) {
  const turns = session.turns.map(readTurn);
  const sum = (of) => turns.reduce((all, turn) => all + of(turn), 0);
  const prompt = sum((turn) => turn.prompt);
  const kind = session.kept_tokens !== undefined ? "break" : session.parent_turn !== undefined ? "sub-agent" : null;
  return {
    ...session, kind, linked: [], turns, name: session.session_id ?? `request ${count(session.number)}`, last: turns.at(-1), start: turns[0].start, end: turns.at(-1).end,
    computed: sum((turn) => turn.computed), prompts: prompt, hits: sum((turn) => turn.hit), rate: prompt ? sum((turn) => turn.hit) / prompt : 0, continuedBy: [],
  };
}

function aboutSample(data, shown) {
  const looked = data.cut ? `the first ${count(data.sample)} sessions of the file` : `${count(data.trace.sessions || data.trace.requests)} ${data.trace.sessions ? "sessions" : "requests"}`;
  const every = data.every === 1 ? `All of ${looked}` : `1 in ${count(data.every)} of ${looked}, with those that continue it: ${count(shown)}`;
  return `${every}${data.left_out ? `; the last ${count(data.left_out)} of these did not fit on the page` : ""}.`;
}

{
  const data = pageData();
  const sessions = data.sessions.filter((session) => session.turns.length).map(prepared);
  const byNumber = new Map(sessions.map((session) => [session.number, session]));
  const rootOf = (session) => (byNumber.has(session.parent) ? rootOf(byNumber.get(session.parent)) : session);
  for (const session of sessions) {
    const parent = byNumber.get(session.parent);
    (session.kind === null ? parent?.continuedBy : parent?.linked)?.push(session);
    session.root = rootOf(session);
    session.lost = session.kind === "break" && parent ? Math.max(0, parent.last.prompt - session.kept_tokens) : 0;
  }

  const pane = el("div", { class: "pane", id: "detail" });
  const show = (number, focus) => {
    const session = byNumber.get(number);
    pane.replaceChildren(detail(session, { origin: byNumber.get(session.parent), continuedBy: session.continuedBy, linked: session.linked, go, back: () => list.focus(number) }));
    list.mark(number);
    history.replaceState(null, "", `#session-${number}`);
    if (focus) pane.querySelector("h2").focus();
  };
  const list = sessionList(sessions, (number) => show(number, true));
  function go(number) {
    list.reveal(number);
    show(number, true);
  }

  const { timeline } = data.trace;
  const main = document.getElementById("main");
  main.append(
    el("p", { class: "note", id: "sample" }, aboutSample(data, sessions.length)),
    el("p", { class: "note" }, `Cached is what an infinite cache held when the request was sent on the reference timeline: ${CLOCK_TEXTS[timeline.clock](timeline)}; prefill ${count(timeline.prefill_tokens_per_second)}, decode ${count(timeline.decode_tokens_per_second)} tokens/s; blocks of ${count(data.trace.block_size)} tokens; outputs ${data.cached_outputs ? "stay cached" : "are not cached"}. A session's bar is its last request; a row adds up all sessions of its tree.`),
  );
  if (sessions.length) {
    main.append(legend(sessions), el("div", { class: "explorer" }, list.element, pane));
    const wanted = Number(location.hash.replace("#session-", ""));
    if (location.hash && byNumber.has(wanted)) list.reveal(wanted);
    show(location.hash && byNumber.has(wanted) ? wanted : (sessions.find((session) => session.turns.length > 4) ?? sessions[0]).number, false);
  } else main.append(el("p", {}, "The trace has no sessions to show."));
}
