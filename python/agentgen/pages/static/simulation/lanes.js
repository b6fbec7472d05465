// The lanes of the sessions of a result: their slots, or the lowest lane that is free when they start.

/** Every session that sent a request, with its requests: [{ number, lane, startMs, endMs, requests }]. */
export function lanesOf({ requests, sample }) {
  const sessions = new Map();
  requests.session.forEach((number, index) => {
    const session = sessions.get(number) ?? { number, lane: requests.slot[index], startMs: requests.sentMs[index], requests: [] };
    session.requests.push(index);
    // A request that failed ended when it was sent.
    session.endMs = requests.endMs[index] >= 0 ? requests.endMs[index] : requests.sentMs[index];
    sessions.set(number, session);
  });
  const continuations = new Set(sample.sessions.filter((session) => session.is_continuation).map(({ number }) => number));
  const all = [...sessions.values()].map((session) => ({ ...session, isContinuation: continuations.has(session.number) }));
  if (sample.clock !== "closed") stack(all);
  return all;
}

/** Gives each session the lowest free lane; the sessions are in the order of their starts. */
function stack(sessions) {
  const freeFrom = [];
  for (const session of sessions) {
    const free = freeFrom.findIndex((ms) => ms <= session.startMs);
    session.lane = free === -1 ? freeFrom.length : free;
    freeFrom[session.lane] = session.endMs;
  }
}
