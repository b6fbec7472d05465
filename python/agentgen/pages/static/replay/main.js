// The page of a replay, from top to bottom.

import { contents, pageData } from "../dom.js";
import { client, latency } from "./latency.js";
import { goodput, outcomes, tiles } from "./outcomes.js";
import { notices, played } from "./played.js";
import { throughput } from "./over_time.js";
import { absent } from "./plots.js";
import { lengths, sessions, turns } from "./turns.js";

{
  const summary = pageData();
  const { run } = summary;
  const parts = [played(summary), outcomes(summary), latency(run), goodput(run), throughput(run), turns(run), sessions(run), lengths(run), client(summary)].filter(Boolean);
  const targets = run.goodput ? null : absent(["goodput, as no targets were set (--slo)"]);
  document.getElementById("main").append(...[...notices(summary), tiles(run), contents(parts), ...parts, targets].filter(Boolean));
}
