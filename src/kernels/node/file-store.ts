import { existsSync, readFileSync } from 'node:fs';
import { environmentVariable } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';
import { writeOutput } from '../../common/files.ts';
import { fnv1aHex } from '../../common/fnv1a.ts';
import { cacheFile } from '../../common/folders.ts';
import type { AdapterDescription } from '../device/adapter-description.ts';
import { type AdapterStore, adapterKey, type StoredKind } from '../device/adapter-store.ts';

/** The environment variable that names a file of measurements to use in place of the one in the cache folder. */
export const tuningVariable = 'CLIP_AGIQA_TUNING';

/** The file that the environment names for this kind, if any. */
const named = (kind: StoredKind): string | undefined =>
  kind === 'tuning' ? environmentVariable(tuningVariable) : undefined;

/** The file of an adapter: the one named, else one in the user's cache folder. */
function pathOf(kind: StoredKind, adapter: AdapterDescription): string {
  const slug = adapter.name.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  return named(kind) ?? cacheFile(kind, `${slug}-${fnv1aHex(adapterKey(adapter))}.json`);
}

/** Whether the file that somebody named holds something else than this adapter's table: it is neither used nor replaced. */
function isForeign(kind: StoredKind, adapter: AdapterDescription): boolean {
  const path = named(kind);
  if (path === undefined || !existsSync(path)) return false;
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { adapter?: string }).adapter !== adapterKey(adapter);
  } catch {
    return true;
  }
}

/** A file for each adapter. */
export const fileStore: AdapterStore = {
  read(kind, adapter) {
    if (isForeign(kind, adapter)) {
      console.warn(
        `tuning     ${named(kind)} is no table of this adapter and driver: it is ignored, and left as it is`,
      );
      return undefined;
    }
    try {
      return readFileSync(pathOf(kind, adapter), 'utf8');
    } catch {
      return undefined;
    }
  },

  async write(kind, adapter, text) {
    if (isForeign(kind, adapter)) return;
    try {
      await writeOutput(pathOf(kind, adapter), text);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // What was measured serves this process all the same; a run in a container without a home ends in no error.
      if (kind === 'tuning') console.warn(`tuning     ${error.message}; the next run will measure again`);
    }
  },
};
