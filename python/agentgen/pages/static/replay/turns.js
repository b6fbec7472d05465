// Requests by turn, the cache, whole sessions, and lengths.

import { AXIS, COLORS, figure } from "../chart.js";
import { el, facts, section, table } from "../dom.js";
import { count, duration, percent, short } from "../format.js";
import { barChart, lineChart } from "../report/plots.js";
import { absent, percentiles, percentileTable, timeAxis, turnAxis, turnName, valueCount } from "./plots.js";

const SOURCES = {
  usage: "Cached tokens by the usage in responses.", metrics: "Responses do not report cached tokens; the server's metrics do, before and after the run.",
  none: "The server does not report cached tokens.",
};
const GROUPED = "Turns from 32 on are grouped, and drawn at the first turn of the group.";

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
      id: "ttft-by-turn", title: "Time to first token by turn", units: "successful requests", turns: all, y: timeAxis, format: duration, columns: more,
      lines: [{ name: "TTFT p50", value: (turn) => turn.ttft_ms?.p50 }, { name: "TTFT p99", value: (turn) => turn.ttft_ms?.p99 }],
    }),
    all.some((turn) => turn.ttft_ms) ? null : byTurn({
      id: "e2e-by-turn", title: "End to end by turn", units: "successful requests", turns: all, y: timeAxis, format: duration,
      lines: [{ name: "End to end p50", value: (turn) => turn.e2e_ms?.p50 }, { name: "End to end p99", value: (turn) => turn.e2e_ms?.p99 }],
    }),
    byTurn({
      id: "cached-by-turn", title: "Cached share by turn", units: "cached tokens / prompt tokens", turns: all, y: share, format: percent,
      caption: "Predicted: an infinite cache with the prompts (with live history also the outputs) of requests completed before.",
      lines: [{ name: "reported", value: (turn) => turn.reported?.hit_rate }, { name: "predicted", value: (turn) => turn.predicted?.hit_rate, dash: [5, 3] }],
    }),
  ].filter(Boolean) : [];
  const rates = [["Reported in responses", cache.reported], ["Predicted", cache.predicted], ["Server metrics", cache.server]].filter(([, rate]) => rate);
  const notes = [
    SOURCES[cache.cache_source],
    cache.predicted && cache.reported ? `Reported and predicted tokens differ in ${count(cache.differing)} of ${count(cache.predicted.requests)} requests.` : null,
    cache.server_tokenizes && cache.predicted ? "The server tokenizes text itself, so it can find fewer tokens for that reason alone." : null,
    cache.predicted ? "Where requests overlap, a server can find more: it shares a prompt before its response is complete, the prediction does not." : null,
    cache.server ? "The server metrics include other clients and the warm-up." : null,
  ];
  return section(
    "turns", "Cache and turns", el("p", { class: "note" }, notes.filter(Boolean).join(" ")),
    rates.length ? table("Cached tokens of prompts", [
      { label: "", left: true, text: ([label]) => label }, { label: "Requests", text: ([, rate]) => (rate.requests ? count(rate.requests) : "–") },
      { label: "Prompt tokens", text: ([, rate]) => count(rate.prompt_tokens) }, { label: "Cached", text: ([, rate]) => count(rate.cached_tokens) }, { label: "Share", text: ([, rate]) => percent(rate.hit_rate) },
    ], rates, { id: "cache-table" }) : null,
    el("div", { class: "figures" }, figures),
    absent([cache.reported ? null : "cached tokens in responses", cache.predicted ? null : "a prediction", cache.server ? null : "server metrics", all.some((turn) => turn.ttft_ms) ? null : "TTFT by turn"].filter(Boolean)),
  );
}

export function sessions({ sessions: of }) {
  const line = [{ name: "duration", values: of.duration_ms }];
  // A single duration is among the facts.
  const chart = of.duration_ms?.count > 1 ? figure({
    id: "session-durations", title: "Duration of completed sessions", units: `by percentile; ${valueCount(of.duration_ms.count)}`, wide: true,
    caption: "From taking a slot to giving it back, delays included.", spec: percentiles(line), ...percentileTable(line),
  }) : null;
  return section(
    "sessions", "Sessions",
    facts([
      ["Opened", count(of.opened)], ["Completed: all requests succeeded", count(of.completed)],
      ...(of.completed_per_second === null || of.completed_per_second === undefined ? [] : [["Completed per second, whole run", short(of.completed_per_second)]]),
      ...(of.duration_ms ? [["Mean duration", duration(of.duration_ms.mean)], ["Median duration", duration(of.duration_ms.p50)]] : []),
    ]),
    chart ? el("div", { class: "figures" }, chart) : null, absent(of.duration_ms ? [] : ["durations, as no session was completed"]),
  );
}

export function lengths({ lengths: of }) {
  const all = [["Prompts", of.prompt], ["Outputs", of.output]];
  const known = all.filter(([, length]) => length.requests);
  const rows = known.flatMap(([name, length]) => [["planned", length.planned_tokens], ["reported", length.reported_tokens]].map(([series, value]) => ({ name, series, value, t0: name, t1: series, t2: count(value) })));
  return section(
    "lengths", "Lengths",
    el("p", { class: "note" }, "Tokens in the trace and as counted by the server, of successful requests whose responses report them."),
    known.length ? el("div", { class: "figures" }, figure({
      id: "planned-and-reported", title: "Planned and reported lengths", units: "tokens over all requests", wide: true, caption: null,
      spec: barChart({ rows, series: ["planned", "reported"], axis: AXIS.short, tips: ["What", "Which", "Tokens"] }),
    })) : null,
    known.length ? table("", [
      { label: "", left: true, text: ([name]) => name }, { label: "Requests that report", text: ([, length]) => count(length.requests) }, { label: "Planned tokens", text: ([, length]) => count(length.planned_tokens) },
      { label: "Reported tokens", text: ([, length]) => count(length.reported_tokens) }, { label: "Requests that differ", text: ([, length]) => count(length.differing) },
    ], known, { id: "lengths-table" }) : null,
    absent(all.filter(([, length]) => !length.requests).map(([name]) => `reported lengths of ${name.toLowerCase()}`)),
  );
}
