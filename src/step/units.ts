/** `1.23 ms` of nanoseconds. */
export function timeText(ns: number): string {
  // What rounds to 1000 of a unit is 1 of the next.
  if (ns >= 999.5e6) return `${(ns / 1e9).toPrecision(3)} s`;
  if (ns >= 999.5e3) return `${(ns / 1e6).toPrecision(3)} ms`;
  if (ns >= 999.5) return `${(ns / 1e3).toPrecision(3)} µs`;
  return `${Math.round(ns)} ns`;
}

/** Three digits with a unit's prefix: `5.50 GFLOP`. */
export function amountText(amount: number, unit: string): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let power = 0;
  while (Math.abs(amount) >= 999.5 && power < prefixes.length - 1) {
    amount /= 1000;
    power++;
  }
  return `${power === 0 ? Math.round(amount) : amount.toPrecision(3)} ${prefixes[power]}${unit}`;
}

export const percentText = (share: number): string =>
  `${share >= 0.995 || share === 0 ? Math.round(100 * share) : (100 * share).toPrecision(2)} %`;
