// Requests by their number in the session, the cache, sessions as wholes, and lengths.

import { AXIS, COLORS, figure } from "../chart.js";
import { el, facts, section, table } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { barChart, lineChart } from "../report/plots.js";
import { absent, percentiles, percentileTable, timeAxis, turnAxis, turnName, valueCount } from "./plots.js";

const SOURCES = {
  usage: "Cached tokens are those that each answer tells.", metrics: "Answers do not tell of cached tokens; the server's metrics do, before and after.",
  none: "The server does not tell of cached tokens.",
};
const GROUPED = "Turns from 32 on are told together, and drawn at the first of them.";

// Lines over turns. lines: [{ name, value: (turn) => number, dash }]; more columns for the table.
function byTurn({ id, title, units, caption, turns, lines, y, format, columns = [] }) {
  const known = lines.filter(({ value }) => turns.some((turn) => value(turn) !== null && value(turn) !== undefined));
  if (!known.length) return null;
  const series = known.map(({ name, value, dash }, index) => ({
    name, dash, color: COLORS[index],
    points: turns.map((turn) => ({ x: turn.first_turn, y: value(turn) ?? null, t0: turnName(turn), t1: format(value(turn)), t2: name, t3: count(turn.requests) })).filter((point) => point.y !== null),
  }));
  const grouped = turns.some((turn) => turn.last_turn > turn.first_turn) ? GROUPED : null;
  return figure({
    id, title, units, caption: [caption, grouped].filter(Boolean).join(" ") || null,
    spec: lineChart({ series, points: true, x: turnAxis(turns), y: y(series.flatMap((one) => one.points.map((point) => point.y))), tips: ["Turn", "Value", "Which", "Requests"] }),
    columns: [
      { label: "Turn", left: true, text: turnName }, { label: "Requests", text: (turn) => count(turn.requests) }, { label: "Succeeded", text: (turn) => count(turn.succeeded) },
      ...known.map(({ name, value }) => ({ label: name, text: (turn) => format(value(turn)) })), ...columns,
    ],
    rows: turns,
  });
}

export function turns({ by_turn: all, cache }) {
  const share = () => ({ axis: AXIS.percent, scale: { domain: [0, 1] } });
  const more = ["e2e_ms", "tpot_ms"].flatMap((key, index) => ["p50", "p99"].map((name) => ({ label: `${["End to end", "TPOT"][index]} ${name}`, text: (turn) => duration(turn[key]?.[name]) })));
  const figures = all.length ? [
    byTurn({
      id: "ttft-by-turn", title: "Time to the first token by turn", units: "of requests that succeeded", turns: all, y: timeAxis, format: duration, columns: more,
      lines: [{ name: "TTFT p50", value: (turn) => turn.ttft_ms?.p50 }, { name: "TTFT p99", value: (turn) => turn.ttft_ms?.p99 }],
    }),
    all.some((turn) => turn.ttft_ms) ? null : byTurn({
      id: "e2e-by-turn", title: "End to end by turn", units: "of requests that succeeded", turns: all, y: timeAxis, format: duration,
      lines: [{ name: "End to end p50", value: (turn) => turn.e2e_ms?.p50 }, { name: "End to end p99", value: (turn) => turn.e2e_ms?.p99 }],
    }),
    byTurn({
      id: "cached-by-turn", title: "Cached share by turn", units: "cached tokens / prompt tokens", turns: all, y: share, format: percent,
      caption: "Predicted: an infinite cache of the prompts, and with live history the outputs, of requests that were answered before.",
      lines: [{ name: "reported", value: (turn) => turn.reported?.hit_rate }, { name: "predicted", value: (turn) => turn.predicted?.hit_rate, dash: [5, 3] }],
    }),
  ].filter(Boolean) : [];
  const rates = [["Reported by answers", cache.reported], ["Predicted", cache.predicted], ["Counters of the server", cache.server]].filter(([, rate]) => rate);
  const notes = [
    SOURCES[cache.cache_source],
    cache.predicted && cache.reported ? `Reported and predicted tokens differ in ${count(cache.differing)} of ${count(cache.predicted.requests)} requests.` : null,
    cache.server_tokenizes && cache.predicted ? "The server counts tokens of its own, so it can find less for that reason alone." : null,
    cache.predicted ? "Where requests overlap a server can find more: it shares a prompt before its answer is complete, the prediction does not." : null,
    cache.server ? "The counters grew by all that the server did meanwhile: other clients and the warm-up are in them." : null,
  ];
  return section(
    "turns", "Cache, and turn by turn", el("p", { class: "note" }, notes.filter(Boolean).join(" ")),
    rates.length ? table("Cached tokens of prompts", [
      { label: "", left: true, text: ([label]) => label }, { label: "Requests", text: ([, rate]) => (rate.requests ? count(rate.requests) : "–") },
      { label: "Prompt tokens", text: ([, rate]) => count(rate.prompt_tokens) }, { label: "Cached", text: ([, rate]) => count(rate.cached_tokens) }, { label: "Share", text: ([, rate]) => percent(rate.hit_rate) },
    ], rates, { id: "cache-table" }) : null,
    el("div", { class: "figures" }, figures),
    absent([cache.reported ? null : "cached tokens of answers", cache.predicted ? null : "a prediction", cache.server ? null : "the server's own counters", all.some((turn) => turn.ttft_ms) ? null : "TTFT by turn"].filter(Boolean)),
  );
}

export function sessions({ sessions: of }) {
  const line = [{ name: "duration", values: of.duration_ms }];
  // One duration is among the facts.
  const chart = of.duration_ms?.count > 1 ? figure({
    id: "session-durations", title: "Duration of completed sessions", units: `by percentile; ${valueCount(of.duration_ms.count)}`, wide: true,
    caption: "From taking a slot to giving it back, delays included.", spec: percentiles(line), ...percentileTable(line),
  }) : null;
  return section(
    "sessions", "Sessions",
    facts([
      ["Opened", count(of.opened)], ["Completed: all requests succeeded", count(of.completed)],
      ...(of.completed_per_second === null || of.completed_per_second === undefined ? [] : [["Completed a second, whole run", short(of.completed_per_second)]]),
      ...(of.duration_ms ? [["Mean duration", duration(of.duration_ms.mean)], ["Median duration", duration(of.duration_ms.p50)]] : []),
    ]),
    chart ? el("div", { class: "figures" }, chart) : null, absent(of.duration_ms ? [] : ["durations, as no session was completed"]),
  );
}

export function lengths({ lengths: of }) {
  const all = [["Prompts", of.prompt], ["Outputs", of.output]];
  const known = all.filter(([, told]) => told.requests);
  const rows = known.flatMap(([name, told]) => [["planned", told.planned_tokens], ["reported", told.reported_tokens]].map(([series, value]) => ({ name, series, value, t0: name, t1: series, t2: count(value) })));
  return section(
    "lengths", "Lengths",
    el("p", { class: "note" }, "Tokens as the trace plans them and as the server counts them, of requests that succeeded and whose answers tell."),
    known.length ? el("div", { class: "figures" }, figure({
      id: "planned-and-reported", title: "Planned and reported lengths", units: "tokens over all requests", wide: true, caption: null,
      spec: barChart({ rows, series: ["planned", "reported"], axis: AXIS.short, tips: ["What", "Which", "Tokens"] }),
    })) : null,
    known.length ? table("", [
      { label: "", left: true, text: ([name]) => name }, { label: "Requests that tell", text: ([, told]) => count(told.requests) }, { label: "Planned tokens", text: ([, told]) => count(told.planned_tokens) },
      { label: "Reported tokens", text: ([, told]) => count(told.reported_tokens) }, { label: "Requests that differ", text: ([, told]) => count(told.differing) },
    ], known, { id: "lengths-table" }) : null,
    absent(all.filter(([, told]) => !told.requests).map(([name]) => `reported lengths of ${name.toLowerCase()}`)),
  );
}
