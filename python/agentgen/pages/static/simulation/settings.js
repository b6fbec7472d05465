// The settings of a simulation: their ranges, their meaning, and their form in the page's URL.

/** Every setting: name in the URL, label, unit, range; `digits`: significant digits of the slider's steps. */
export const SETTINGS = [
  { name: "concurrency", label: "Concurrency", unit: "open sessions", min: 1, max: 2000, whole: true, digits: 2 },
  { name: "prefill", label: "Prefill rate", unit: "tokens/s", min: 100, max: 1e6, digits: 2 },
  { name: "decode", label: "Decode rate", unit: "tokens/s per request", min: 1, max: 2000, digits: 2 },
  { name: "capacity", label: "Capacity", unit: "GB for KV", min: 0.1, max: 100_000, digits: 2 },
  { name: "kv", label: "KV of a token", unit: "bytes", min: 1, max: 10_000_000, whole: true, digits: 3 },
];

/** What is wrong with a value, as a sentence; empty for a valid value. */
export function fault({ label, min, max, whole }, value) {
  const kind = whole ? "a whole number" : "a number";
  const expected = `expected ${kind} from ${min.toLocaleString("en-US")} to ${max.toLocaleString("en-US")}`;
  const isFine = Number.isFinite(value) && value >= min && value <= max && !(whole && !Number.isInteger(value));
  return isFine ? "" : `${label}: ${expected}.`;
}

/** The settings in a URL fragment; those of `defaults` where it has none or an invalid one. */
export function fromHash(hash, defaults) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const values = SETTINGS.map((setting) => {
    const value = given.has(setting.name) ? Number(given.get(setting.name) || NaN) : NaN;
    return [setting.name, fault(setting, value) ? defaults[setting.name] : value];
  });
  return Object.fromEntries(values);
}

/** The URL fragment of settings: those that differ from the defaults. */
export function toHash(settings, defaults) {
  const changed = SETTINGS.filter(({ name }) => settings[name] !== defaults[name]);
  return changed.map(({ name }) => `${name}=${settings[name]}`).join("&");
}

/** Capacity of the cache in blocks. */
export function capacityBlocks(settings, blockTokens) {
  return Math.floor(Math.round(settings.capacity * 1e9) / (settings.kv * blockTokens));
}

/** The settings as the simulation takes them. */
export function simulated(settings, blockTokens) {
  return {
    concurrency: settings.concurrency,
    prefillRate: settings.prefill,
    decodeRate: settings.decode,
    capacityBlocks: capacityBlocks(settings, blockTokens),
  };
}

/** Position of a slider, 0 to 1,000, on a logarithmic scale. */
export function sliderOf({ min, max }, value) {
  return Math.round((1000 * Math.log(value / min)) / Math.log(max / min));
}

export function valueOf({ min, max, whole, digits }, position) {
  const value = Number((min * (max / min) ** (position / 1000)).toPrecision(digits));
  return Math.min(max, Math.max(min, whole ? Math.round(value) : value));
}
