import type { AdapterDescription } from './adapter-description.ts';
import { adapterKey } from './adapter-store.ts';

/** The result of a shape's trial. */
export interface Measurement {
  readonly variant: string;
  /** Median milliseconds of each variant that gave the right result. */
  readonly times: Readonly<Record<string, number>>;
  /** The variant that the rule of thumb would take; absent in tables of earlier versions. */
  readonly rule?: string;
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

/** The table as text, to be kept. */
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
