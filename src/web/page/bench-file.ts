import type { MachineResult } from '../protocol.ts';

/** What is measured in a page as a file of bench/results/, which `node dist/bench.js page` makes a section of. */
export function benchFile(
  { adapter, seconds, ...results }: MachineResult,
  browser: string,
  at: Date,
): string {
  const run = { measuredAt: at.toISOString(), seconds, browser, results };
  return `${JSON.stringify({ adapter, sections: { browser: run } }, null, 1)}\n`;
}
