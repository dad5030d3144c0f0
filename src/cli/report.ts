import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { describeError } from './command.ts';

/** Pictures of relevance for a run's gallery; none, and a line that says why, where the model cannot be opened. */
export const relevanceOf =
  (folder: string, gpu: () => Promise<Gpu>, reporter: Reporter) =>
  async (paths: readonly string[]): Promise<ReadonlyMap<string, string>> => {
    if (paths.length === 0) return new Map();
    try {
      const { relevancePictures } = await import('../explain/relevance-pictures.ts');
      return await relevancePictures(await gpu(), folder, paths);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      reporter.line(`relevance  not in the report: ${error.message}`);
      return new Map();
    }
  };

/**
 * Writes a finished run's report.html. What goes wrong is reported and makes the exit status 1, but ends nothing: the
 * results are written, and more seeds may follow.
 *
 * @returns its path, or null where it could not be made
 */
export async function reportRun(gpu: Gpu, folder: string, reporter: Reporter): Promise<string | null> {
  try {
    // Loaded when it is needed: the plotting library would slow the start of every command.
    const { writeReport } = await import('../report/write-report.ts');
    const path = await writeReport(folder, { relevanceOf: relevanceOf(folder, async () => gpu, reporter) });
    reporter.line(`report     ${path}`);
    return path;
  } catch (error) {
    reporter.line(`report     could not be written: ${describeError(error)}`);
    process.exitCode = 1;
    return null;
  }
}
