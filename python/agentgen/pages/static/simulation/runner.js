// Runs simulations in a Web Worker, always with the latest settings.

import { workerUrl } from "../dom.js";

/** Pause in ms after the last change of a setting before a simulation starts. */
const PAUSE_MS = 120;

/** Calls `progress(share)` while a simulation runs, `done(result)` at its end, `failed(message)` after an error. */
export class Runner {
  #worker;
  #run = 0;
  #timer = 0;

  constructor(sample, { progress, done, failed }) {
    this.#worker = new Worker(workerUrl("simulation"));
    this.#worker.onmessage = ({ data }) => {
      if (data.run !== this.#run) return;
      if (data.figures) done({ ...data, elapsedMs: performance.now() - this.startedMs });
      else progress(data.progress);
    };
    this.#worker.onerror = (event) => failed(event.message);
    this.#worker.postMessage({ sample });
  }

  /** Starts a simulation; cancels one that still runs. */
  start(settings, pauseMs = PAUSE_MS) {
    this.cancel();
    this.#timer = setTimeout(() => {
      this.startedMs = performance.now();
      this.#worker.postMessage({ run: this.#run, settings });
    }, pauseMs);
  }

  /** Cancels the simulation that runs. */
  cancel() {
    clearTimeout(this.#timer);
    this.#run += 1;
    this.#worker.postMessage({ run: this.#run });
  }
}
