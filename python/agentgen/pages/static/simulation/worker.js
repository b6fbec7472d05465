// The Web Worker: simulates in slices, so that it receives new settings between them. It gets {sample} once, then
// {run, settings}; it answers with {run, progress} and at last {run, figures, ttft, requests}. A newer run ends an older one.

import { Simulation } from "./engine.js";

/** Events between two readings of the clock, and ms between two checks for messages. */
const EVENTS = 200;
const SLICE_MS = 40;

let sample = null;
let latest = 0;

/** What the page draws of single requests, one list of numbers per column. */
function columnsOf(requests) {
  const column = (of) => Float64Array.from(requests, of);
  return {
    session: column(({ session }) => session.number),
    turn: column(({ turn }) => turn),
    slot: column(({ session }) => session.slot),
    contextTokens: column(({ prompt }) => prompt.contextTokens),
    outputTokens: column(({ prompt }) => prompt.outputTokens),
    hitTokens: column(({ hitTokens }) => hitTokens),
    neededBlocks: column(({ prompt }) => prompt.neededBlocks),
    sentMs: column(({ sentMs }) => sentMs),
    admittedMs: column(({ admittedMs }) => admittedMs),
    firstTokenMs: column(({ firstTokenMs }) => firstTokenMs),
    endMs: column(({ endMs }) => endMs),
  };
}

async function simulate(run, settings) {
  const simulation = new Simulation(sample, settings);
  let isGoing = true;
  while (isGoing) {
    const until = performance.now() + SLICE_MS;
    while (isGoing && performance.now() < until) isGoing = simulation.step(EVENTS);
    postMessage({ run, progress: simulation.progress });
    await new Promise((resume) => setTimeout(resume));
    if (run !== latest) return;
  }
  const figures = simulation.figures();
  postMessage({ run, figures, ttft: simulation.ttftCounts(), requests: columnsOf(simulation.requests) });
}

onmessage = ({ data }) => {
  if (data.sample) sample = data.sample;
  if (!data.run) return;
  latest = data.run;
  if (data.settings) simulate(data.run, data.settings);
};
