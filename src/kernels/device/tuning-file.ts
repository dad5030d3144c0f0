import { builtin, environmentVariable } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';
import type { AdapterDescription } from './adapter.ts';
import { adapterFile, adapterKey } from './adapter-file.ts';

/** The result of a shape's trial. */
export interface Measurement {
  readonly variant: string;
  /** Median milliseconds of each variant that gave the right result. */
  readonly times: Readonly<Record<string, number>>;
  /** Why others were left out; absent where none was. */
  readonly leftOut?: Readonly<Record<string, string>>;
}

/** What was measured on an adapter: a shape's measurement by `family/version/shape`. */
export type Measurements = Map<string, Measurement>;

interface TuningFile {
  readonly adapter: string;
  readonly measured: Readonly<Record<string, Measurement>>;
  /** Variants that took the device with them, as `key variant`. */
  readonly fatal?: readonly string[];
}

export interface Table {
  readonly measured: Measurements;
  readonly fatal: Set<string>;
}

/** The table as a file of text. */
export function tableText(adapter: AdapterDescription, { measured, fatal }: Table): string {
  const file: TuningFile = {
    adapter: adapterKey(adapter),
    measured: Object.fromEntries(measured),
    ...(fatal.size > 0 && { fatal: [...fatal] }),
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}

/** The table in a text; undefined where it is damaged or another adapter's. */
export function parseTable(adapter: AdapterDescription, text: string): Table | undefined {
  try {
    const file = JSON.parse(text) as TuningFile;
    if (file.adapter !== adapterKey(adapter)) return undefined;
    const entries = Object.entries(file.measured).filter(
      ([, one]) => typeof one?.variant === 'string' && typeof one.times === 'object' && one.times !== null,
    );
    const fatal = (file.fatal ?? []).filter((word) => typeof word === 'string');
    return { measured: new Map(entries), fatal: new Set(fatal) };
  } catch {
    return undefined;
  }
}

/** The environment variable that names a file to use in place of the one in the cache folder. */
export const tuningVariable = 'CLIP_AGIQA_TUNING';

/** The file of an adapter: the one named, else that in the user's cache folder; undefined in a browser, where measurements last as long as the page. */
function tuningPath(adapter: AdapterDescription): string | undefined {
  return environmentVariable(tuningVariable) || adapterFile('tuning', adapter);
}

/** What earlier runs measured on the adapter. Missing or damaged it is empty: it is a cache, so the next tuning writes it again. */
export function readTable(adapter: AdapterDescription): Table {
  const path = tuningPath(adapter);
  const none = { measured: new Map(), fatal: new Set<string>() };
  if (!path) return none;
  try {
    return parseTable(adapter, builtin('node:fs')!.readFileSync(path, 'utf8')) ?? none;
  } catch {
    return none;
  }
}

export async function saveTable(adapter: AdapterDescription, table: Table): Promise<void> {
  const path = tuningPath(adapter);
  if (!path) return;
  const { writeOutput } = await import('../../common/files.ts');
  try {
    await writeOutput(path, tableText(adapter, table));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // What was measured serves this process all the same; a run in a container without a home ends in no error.
    console.warn(`tuning     ${error.message}; the next run will measure again`);
  }
}
