// Runs simulations in a Web Worker, always of the latest settings.

import { workerUrl } from "../dom.js";

/** ms that settings must have been left alone before they are simulated. */
const PAUSE_MS = 120;

/** `progress(share)` while one runs, `done(result)` at its end, `failed(message)` if it cannot be. */
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

  /** Simulates with these settings; one that still runs is given up. */
  start(settings, pauseMs = PAUSE_MS) {
    this.cancel();
    this.#timer = setTimeout(() => {
      this.startedMs = performance.now();
      this.#worker.postMessage({ run: this.#run, settings });
    }, pauseMs);
  }

  /** Gives up what runs. */
  cancel() {
    clearTimeout(this.#timer);
    this.#run += 1;
    this.#worker.postMessage({ run: this.#run });
  }
}
