import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReaderName } from '../fuzz/readers.ts';

/** A file or folder made to do harm. */
export interface Attack {
  readonly name: string;
  /** What it once did, or would do without the check that stops it. */
  readonly once: string;
  /** How it gets into the program. */
  readonly reader: ReaderName;
  /** Writes it into an empty folder; returns the path to give to the reader. */
  readonly make: (folder: string) => string | Promise<string>;
  /** What the error has to say. */
  readonly message: RegExp;
  /** `accepted` where there is nothing to refuse, only to be done in time; `refused` by default. */
  readonly outcome?: 'accepted';
  /** Also given to this command, whose last argument is the path. */
  readonly command?: readonly string[];
}

/** An attack that is a single file. */
export const fileAttack = (
  file: string,
  attack: Omit<Attack, 'make'> & { readonly bytes: () => string | Uint8Array },
): Attack => {
  const { bytes, ...rest } = attack;
  return {
    ...rest,
    make: (folder) => {
      const path = join(folder, file);
      writeFileSync(path, bytes());
      return path;
    },
  };
};
