// Events in the order of the simulator: by time, then by kind, then by session.

/** At one time requests end first, then prefills end, then requests are sent. */
export const END = 0;
export const PREFILLED = 1;
export const SEND = 2;

function isBefore(a, b) {
  if (a.time !== b.time) return a.time < b.time;
  return a.kind !== b.kind ? a.kind < b.kind : a.session < b.session;
}

/** A binary heap of events. */
export class Events {
  #heap = [];

  get size() {
    return this.#heap.length;
  }

  /** Time of the next event; infinity without one. */
  get nextTime() {
    return this.#heap[0]?.time ?? Infinity;
  }

  push(time, kind, session) {
    const heap = this.#heap;
    const event = { time, kind, session };
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  pop() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child += 1;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
