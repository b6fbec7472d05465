// The page: settings, the result of a simulation with them, and its charts.

import { el, facts, pageData, section, table } from "../dom.js";
import { bytes, count, duration, percent, short } from "../format.js";
import { evictions, layers, OVER_TIME, turnover } from "./charts.js";
import { controls } from "./controls.js";
import { show } from "./gallery.js";
import { byTurn, hitByTurn, ttft } from "./latency.js";
import { Runner } from "./runner.js";
import { fromHash, simulated, toHash } from "./settings.js";
import { Timeline } from "./timeline.js";

/** The most failed requests listed. */
const FAILURES = 100;

const { sample, defaults, models, model } = pageData();
// Figures by layer and turn need session names, which some traces do not have.
const isNamed = !sample.sessions[0].by_ids;
const main = document.getElementById("main");
let settings = fromHash(location.hash, defaults);
let latest = null;
let isRunning = false;

// --- the elements of the page ----------------------------------------------------------------------------------------

const grid = () => el("div", { class: "figures" });
const boxes = { time: grid(), cache: grid(), latency: grid(), slots: grid() };
const tiles = el("dl", { class: "tiles", id: "tiles" });
const failures = el("div", { id: "failed" });
const status = el("p", { id: "status", role: "status" });
const bar = el("progress", { id: "progress", max: 1, value: 0, "aria-label": "Progress of the simulation" });
const timeline = new Timeline(sample.clock === "closed", () => show([[boxes.slots, timeline.definition()]]));

const runner = new Runner(sample, {
  progress: (share) => {
    bar.value = share;
    status.textContent = `Simulating: ${Math.floor(100 * share)} % of the sessions`;
  },
  done: (result) => {
    latest = { ...result, settings, sample };
    bar.value = 1;
    isRunning = false;
    const virtual = duration(result.figures.duration_ms);
    status.textContent = `${count(result.requests.sentMs.length)} requests, ${virtual} of virtual time, simulated in ${duration(result.elapsedMs)}`;
    present();
  },
  failed: (message) => (status.textContent = `The simulation failed: ${message}`),
});

function run(pauseMs) {
  isRunning = true;
  main.setAttribute("aria-busy", "true");
  bar.value = 0;
  runner.start(simulated(settings, sample.block_tokens), pauseMs);
}

const form = controls({
  models,
  model,
  blockTokens: sample.block_tokens,
  hasSlots: sample.clock === "closed",
  changed: (next) => {
    settings = next;
    history.replaceState(null, "", `#${toHash(settings, defaults)}`);
    run();
  },
  reset: () => {
    settings = { ...defaults };
    form.set(settings);
    history.replaceState(null, "", location.pathname + location.search);
    run(0);
  },
});

// --- a result --------------------------------------------------------------------------------------------------------

function present() {
  const { figures: all } = latest;
  const { ttft: first, queueing } = all.times;
  const block = sample.block_tokens;
  const held = all.occupancy.capacity_blocks ? all.occupancy.mean_resident_blocks / all.occupancy.capacity_blocks : 0;
  // A number stays with its unit.
  const time = (ms) => duration(ms).replaceAll(" ", "\u00a0");
  const tile = (name, value, note) => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, note)));
  tiles.replaceChildren(
    tile("Hit rate", percent(all.hit_rates.token_weighted), "tokens found / tokens of the prompts"),
    tile("Time to first token", time(first?.median), `median; 95 % within ${time(first?.p95)}`),
    tile("Waiting", time(queueing?.mean), `mean; 95 % within ${time(queueing?.p95)}`),
    tile("Occupancy", percent(held), `mean; ${bytes(all.occupancy.mean_resident_blocks * block * settings.kv)} of blocks`),
    tile("Evicted", `${short(all.blocks.evicted)}`, `blocks; ${short(all.blocks.refetched)} fetched again`),
    tile("Failed", count(all.requests.failed), `requests; ${count(all.requests.skipped)} after them not sent`),
  );
  timeline.take(latest);
  showFailures();
  showDefinitions();
  // If every request failed, there is nothing to draw.
  const isEmpty = all.requests.served === 0;
  for (const box of Object.values(boxes)) box.closest("section").hidden = isEmpty;
  const parts = (box, definitions) => definitions.map((definition) => [box, definition(latest)]);
  const drawn = [
    ...parts(boxes.time, OVER_TIME),
    ...parts(boxes.cache, isNamed ? [turnover, evictions, layers, hitByTurn] : [turnover]),
    ...parts(boxes.latency, isNamed ? [ttft, byTurn] : [ttft]),
    [boxes.slots, timeline.definition()],
  ];
  show(isEmpty ? [] : drawn).then(() => {
    if (isRunning) return;
    main.removeAttribute("aria-busy");
    document.body.dataset.shown = toHash(latest.settings, {});
  });
}

function showFailures() {
  const { requests, figures: all } = latest;
  const failed = [...requests.session.keys()].filter((index) => !(requests.endMs[index] >= 0));
  if (failed.length === 0) {
    failures.replaceChildren(el("p", {}, "No request failed: each fits into the capacity."));
    return;
  }
  const columns = [
    { label: "Session", text: (index) => count(requests.session[index]) },
    { label: "Turn", text: (index) => count(requests.turn[index]) },
    { label: "Sent", text: (index) => duration(requests.sentMs[index]) },
    { label: "Prompt and output, tokens", text: (index) => count(requests.contextTokens[index] + requests.outputTokens[index]) },
    { label: "Blocks needed", text: (index) => count(requests.neededBlocks[index]) },
  ];
  const listed = failed.length > FAILURES ? `the first ${FAILURES} of ${count(failed.length)}` : `${count(failed.length)}`;
  failures.replaceChildren(
    el("p", {}, `A request fails if it needs more than the ${count(all.occupancy.capacity_blocks)} blocks of the capacity; its session ends.`),
    table(`Failed requests: ${listed}`, columns, failed.slice(0, FAILURES)),
  );
}

const definitions = el("div");

function showDefinitions() {
  const { hit_rates: rates } = latest.figures;
  definitions.replaceChildren(
    facts([
      ["Tokens found / tokens of the prompts", percent(rates.token_weighted)],
      ["Blocks found / all blocks of the prompts", percent(rates.block_references)],
      ["Full blocks found / full blocks", percent(rates.full_blocks)],
      ["Mean over requests: tokens found / tokens", percent(rates.request_mean)],
      ["Mean over sessions: tokens found / tokens", percent(rates.session_mean)],
    ]),
  );
}

const about = [
  "One replica. A request is sent its recorded delay after the end of the previous one; it waits until the prefill unit is free and its blocks fit beside those of running requests.",
  "Blocks of its prompt in the prefix cache are reused; the rest is computed at the prefill rate, one request at a time; then its output is decoded at the decode rate, whatever else runs.",
  "The cache evicts the block whose last request ended longest ago, a chain's tail before its head. The numbers are those of agentgen simulate for the same sessions and settings.",
];

const sections = [
  section("time", "Over time", boxes.time),
  section("cache", "Cache", boxes.cache),
  section("latency", "Latency", boxes.latency),
  section("slots-by-time", "Session timeline", timeline.element, boxes.slots),
  section("failures", "Failures", failures),
  section("definitions", "Definitions", definitions, about.map((text) => el("p", {}, text))),
];
const panel = el("div", { class: "panel" }, form.element, el("div", { class: "run" }, bar, status, form.derived, form.button));
main.append(panel, tiles, ...sections);
form.set(settings);
addEventListener("hashchange", () => {
  // A link within the page does not change the settings.
  if (location.hash && !location.hash.includes("=")) return;
  settings = fromHash(location.hash, defaults);
  form.set(settings);
  run(0);
});
run(0);
