// The page's simulator against the golden files of the Rust one: every figure and every request, to the last bit.
// Run with `node --test tests/simulation/`.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Simulation } from "../../python/agentgen/pages/static/simulation/engine.js";
import { twinOf } from "./golden.mjs";

const FOLDER = new URL("../golden/simulation/", import.meta.url);
// What the twin does not have: a time to live, and the Belady bound.
const ELSEWHERE = new Set(["belady_bound", "clock", "expired", "expired_blocks"]);

/** The numbers of `expected` that the twin has too; `series` is in some of the files only. */
function compared(expected) {
  if (Array.isArray(expected)) return expected.map(compared);
  if (expected === null || typeof expected !== "object") return expected;
  const kept = Object.entries(expected).filter(([name, value]) => !ELSEWHERE.has(name) && !(name === "series" && value.length === 0));
  return Object.fromEntries(kept.map(([name, value]) => [name, compared(value)]));
}

const nullIfNever = (ms) => (Number.isNaN(ms) ? null : ms);

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

test("there are golden files", () => assert.ok(files.length >= 5));

for (const name of files) {
  const golden = JSON.parse(readFileSync(new URL(name, FOLDER)));
  for (const slice of [1, 1_000_000]) {
    test(`${name}, ${slice} events at a time`, () => {
      const { sample, settings } = twinOf(golden);
      const simulation = new Simulation(sample, settings);
      while (simulation.step(slice));
      const expected = compared(golden.figures);
      const figures = simulation.figures();
      if (!expected.series) delete figures.series;
      assert.deepEqual(figures, expected);

      const requests = golden.requests.map((request) => [
        request.session, request.turn, request.sent_ms, request.admitted_ms, request.prefill_end_ms, request.end_ms,
        request.hit_tokens ?? 0,
      ]);
      const served = simulation.requests.map((request) => [
        request.session.number, request.turn, request.sentMs, nullIfNever(request.admittedMs),
        nullIfNever(request.firstTokenMs), nullIfNever(request.endMs), request.hitTokens,
      ]);
      const bySession = (a, b) => a[0] - b[0] || a[1] - b[1];
      assert.deepEqual(served.sort(bySession), requests.sort(bySession));
    });
  }
}
