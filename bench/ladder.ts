import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { packageFile } from '../src/common/package.ts';
import type { AdapterDescription } from '../src/kernels/device/adapter-description.ts';
import { environment, saveSection } from './results.ts';

/** One version of a kernel at one shape. */
export interface LadderRow {
  readonly version: string;
  /** Which way; empty where there is one. */
  readonly direction: string;
  /** Least milliseconds over the rounds. */
  readonly ms: number;
  /** GFLOP/s or GB/s, as the table's unit says. */
  readonly speed: number;
  /** Largest difference from the float64 result, relative to its largest magnitude. */
  readonly error: number;
}

/** The versions of a kernel at one shape, with the ceiling that was measured between their turns. */
export interface LadderTable {
  readonly shape: string;
  readonly unit: 'GFLOP/s' | 'GB/s';
  /** What the adapter reaches where nothing holds it up: multiply-adds in registers, or a copy. */
  readonly ceiling: number;
  readonly rows: readonly LadderRow[];
}

/** What the labs have measured is kept here, a file an adapter. */
export const ladderFolder = join(dirname(packageFile('package.json')), 'bench', 'results', 'labs');

const percent = ({ ceiling }: LadderTable, { speed }: LadderRow) =>
  `${((100 * speed) / ceiling).toFixed(0)} %`;

/** A table as the terminal shows it. */
export function ladderText(table: LadderTable): string {
  const lines = table.rows.map((row) =>
    [
      ' ',
      row.version.padEnd(14),
      row.direction.padEnd(8),
      `${row.ms.toFixed(2)} ms`.padStart(12),
      `${row.speed.toFixed(1)} ${table.unit}`.padStart(14),
      percent(table, row).padStart(6),
      `  error ${row.error.toExponential(1)}`,
    ].join(' '),
  );
  return `\n${table.shape}   ceiling ${table.ceiling.toFixed(1)} ${table.unit}\n${lines.join('\n')}`;
}

/** Keeps a lab's tables as its last run on this adapter; docs/kernels/ is made from them. */
export async function saveLadder(
  adapter: AdapterDescription,
  lab: string,
  tables: readonly LadderTable[],
  seconds: number,
): Promise<string> {
  const load = loadavg()[0]!;
  return saveSection(ladderFolder, adapter, lab, {
    measuredAt: new Date().toISOString(),
    seconds,
    ...environment(),
    load: [load, load],
    results: tables,
  });
}
