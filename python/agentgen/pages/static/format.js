// Number formats. Each function takes a number or null and returns a string.

export const NONE = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

// 12,035; below 100 with one decimal unless whole.
export function count(value) {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) >= 100 || Number.isInteger(value) ? grouped.format(value) : tenths.format(value);
}

// 1.23 M, 15.6 k, 980: three digits and a unit.
export function short(value) {
  if (value === null || value === undefined) return NONE;
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size * 0.9995) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}

// A share as 93.1 %.
export function percent(share) {
  return share === null || share === undefined ? NONE : `${(100 * share).toFixed(1)} %`;
}

// A number of percent as +0.59 %.
export function signedPercent(value) {
  if (value === null || value === undefined) return NONE;
  const text = Math.abs(value).toFixed(2);
  return `${Number(text) === 0 ? "±" : value < 0 ? "−" : "+"}${text} %`;
}

// 350 ms, 12.4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 1000) return `${Number(ms.toPrecision(3))} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  return parts.slice(first, first + 2).filter(([number]) => number > 0).map((part) => part.join(" ")).join(" ");
}

// 1.2 GB: decimal units.
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  for (const [size, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return `${value} B`;
}
