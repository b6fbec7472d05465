// What the address holds, and what settings may be.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  capacityBlocks, fault, fromHash, SETTINGS, sliderOf, toHash, valueOf,
} from "../../python/agentgen/pages/static/simulation/settings.js";

const defaults = { concurrency: 50, prefill: 20_000, decode: 60, capacity: 300, kv: 70_272 };

test("an address gives the settings that it was made from", () => {
  const settings = { concurrency: 7, prefill: 12_345.5, decode: 60, capacity: 0.25, kv: 1 };
  assert.equal(toHash(settings, defaults), "concurrency=7&prefill=12345.5&capacity=0.25&kv=1");
  assert.deepEqual(fromHash(`#${toHash(settings, defaults)}`, defaults), settings);
  assert.equal(toHash(defaults, defaults), "");
  assert.deepEqual(fromHash("", defaults), defaults);
});

test("what an address should not hold is the default", () => {
  for (const bad of ["#concurrency=2.5", "#concurrency=0", "#kv=", "#capacity=NaN", "#decode=1e99", "#prefill=<b>", "#main"]) {
    assert.deepEqual(fromHash(bad, defaults), defaults, bad);
  }
});

test("a fault says what is expected", () => {
  const [concurrency, prefill] = SETTINGS;
  assert.equal(fault(concurrency, 1.5), "Concurrency: expected a whole number from 1 to 2,000.");
  assert.equal(fault(prefill, NaN), "Prefill rate: expected a number from 100 to 1,000,000.");
  assert.equal(fault(prefill, 0.3e6), "");
});

test("a slider reaches both ends and comes back to its place", () => {
  for (const setting of SETTINGS) {
    assert.equal(valueOf(setting, 0), setting.min);
    assert.equal(valueOf(setting, 1000), setting.max);
    for (let position = 0; position <= 1000; position += 50) {
      const value = valueOf(setting, position);
      assert.equal(fault(setting, value), "");
      assert.ok(Math.abs(valueOf(setting, sliderOf(setting, value)) - value) <= 0.02 * value + 1, setting.name);
    }
  }
});

test("capacity is counted in whole blocks, as `agentgen simulate --capacity 300GB` counts it", () => {
  assert.equal(capacityBlocks(defaults, 512), Math.floor(300e9 / (70_272 * 512)));
  assert.equal(capacityBlocks({ capacity: 0.3, kv: 100_000 }, 1), 3000);
});
