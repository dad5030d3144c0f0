import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../src/common/errors.ts';
import { writeOutput } from '../src/common/files.ts';
import type { AdapterDescription } from '../src/kernels/device/adapter-description.ts';

/** How and when a section was measured. Figures are compared within a section only: each is one run. */
export interface Measured {
  readonly measuredAt: string;
  readonly seconds: number;
  readonly node: string;
  readonly cores: number;
  /** Processes that wanted a core when the run began and ended: above 0, another program took part of the time. */
  readonly load: readonly [number, number];
  /** Fewer repetitions and sizes: no figure to quote. */
  readonly quick?: boolean;
  readonly results: unknown;
}

/** bench/results/ADAPTER.json: the last run of every section on one adapter. */
export interface ResultsFile {
  readonly adapter: AdapterDescription;
  readonly sections: Readonly<Record<string, Measured>>;
}

export const environment = () => ({ node: process.version, cores: availableParallelism() });

/** The file's name, from the adapter's. */
export function slug({ name }: Pick<AdapterDescription, 'name'>): string {
  return name
    .replace(/\(.*?\)/g, '')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .toLowerCase();
}

/** Replaces one section of the adapter's file; gives its path. */
export async function saveSection(
  folder: string,
  adapter: AdapterDescription,
  name: string,
  measured: Measured,
): Promise<string> {
  const path = join(folder, `${slug(adapter)}.json`);
  const before = await read(path);
  const file: ResultsFile = { adapter, sections: { ...before?.sections, [name]: measured } };
  await writeOutput(path, `${JSON.stringify(file, null, 2)}\n`);
  return path;
}

/** The files of all adapters. */
export async function readResults(folder: string): Promise<ResultsFile[]> {
  const names = await readdir(folder).catch(() => {
    throw new UserError(`${folder}: no results`, 'Measure first: node dist/bench.js all.');
  });
  const files = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => read(join(folder, name))),
  );
  return files.filter((file) => file !== undefined);
}

async function read(path: string): Promise<ResultsFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as ResultsFile;
  } catch (error) {
    throw new UserError(`${path}: is not JSON (${(error as Error).message})`, 'Delete it and measure again.');
  }
}
