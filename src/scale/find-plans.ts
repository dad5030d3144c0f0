import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isWithin, realRoot } from './locate.ts';
import { hasPlan, type PlannedRun, readPlan } from './plan.ts';
import { isS3 } from './s3/s3-url.ts';

/** Folders below a root that are looked into. */
const deepest = 4;

/** The run with this plan below the roots; undefined where there is none. Links are not followed. */
export async function findPlan(roots: readonly string[], digest: string): Promise<PlannedRun | undefined> {
  for (const root of roots.filter((root) => !isS3(root)))
    for (const folder of foldersBelow(realRoot(root), deepest)) {
      if (!hasPlan(folder)) continue;
      // Another run's may be damaged, or of another version.
      const run = await readPlan(folder).catch(() => undefined);
      if (run?.digest === digest) return run;
    }
  return undefined;
}

/** Whether all images of a run lie below one of the roots. */
export const imagesWithin = (roots: readonly string[], { plan }: PlannedRun): boolean =>
  roots.some((root) => isWithin(realRoot(root), realRoot(plan.root)));

/** The folder and those below it, but not those inside of runs, nor hidden ones. */
function* foldersBelow(folder: string, levels: number): Iterable<string> {
  yield folder;
  if (levels === 0 || hasPlan(folder)) return;
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return; // not ours to read
  }
  for (const entry of entries)
    if (entry.isDirectory() && !entry.name.startsWith('.'))
      yield* foldersBelow(join(folder, entry.name), levels - 1);
}
