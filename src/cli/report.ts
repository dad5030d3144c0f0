import type { Reporter } from '../common/reporter.ts';
import { describeError } from './command.ts';

/**
 * Writes a finished run's report.html. What goes wrong is reported and makes the exit status 1, but ends nothing: the
 * results are written, and more seeds may follow.
 *
 * @returns its path, or null where it could not be made
 */
export async function reportRun(folder: string, reporter: Reporter): Promise<string | null> {
  try {
    // Loaded when it is needed: the plotting library would slow the start of every command.
    const { writeReport } = await import('../report/write-report.ts');
    const path = await writeReport(folder);
    reporter.line(`report     ${path}`);
    return path;
  } catch (error) {
    reporter.line(`report     could not be written: ${describeError(error)}`);
    process.exitCode = 1;
    return null;
  }
}
