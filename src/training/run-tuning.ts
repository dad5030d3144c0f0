import { existsSync } from 'node:fs';
import { writeOutput } from '../common/files.ts';
import { readWhole } from '../common/read-file.ts';
import type { Reporter } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import {
  exportTuning,
  importTuning,
  type TuneChoice,
  tuneAs,
  tuned,
  tunes,
} from '../kernels/device/tuning.ts';
import type { RunFolder } from './run-folder.ts';

/**
 * Which variants are the fastest depends on noise, and variants sum in different orders: a run gives the same bits twice only if it
 * chooses the same ones from its first kernel to its last. So it measures before it computes, and keeps the table.
 */

/** The file of a run's folder that holds the table it computes with. */
export const tuningFile = 'tuning.json';

/** Takes the table of the run that goes on; one of another adapter or driver is of no use here, and says so. */
export async function useRunTuning(gpu: Gpu, folder: RunFolder, reporter: Reporter): Promise<void> {
  const path = folder.file(tuningFile);
  if (!existsSync(path)) return;
  if (importTuning(gpu, (await readWhole(path, 'jsonBytes')).toString('utf8'))) return;
  reporter.line('tuning     the run was tuned for another adapter or driver: the last digits will differ');
}

/**
 * What `make` gives, made by the variants that the table will have in the end: where `rehearse` meets a shape that is not in it yet,
 * that is measured, and all of it is computed again.
 */
export async function madeAsTuned<T extends { dispose(): void }>(
  gpu: Gpu,
  choice: TuneChoice,
  make: () => T,
  rehearse: (made: T) => Promise<void>,
): Promise<T> {
  for (;;) {
    const known = tuned(gpu).size;
    const made = make();
    if (!tunes(gpu, choice)) return made;
    try {
      await rehearse(made);
      await tuneAs(gpu, choice);
    } catch (error) {
      made.dispose();
      throw error;
    }
    if (tuned(gpu).size === known) return made;
    made.dispose();
  }
}

/** Keeps the table with the run, if it was tuned. */
export async function keepRunTuning(gpu: Gpu, choice: TuneChoice, folder: RunFolder): Promise<void> {
  if (tunes(gpu, choice)) await writeOutput(folder.file(tuningFile), exportTuning(gpu));
}
