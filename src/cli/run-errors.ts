import { writeErrorTable } from '../scale/error-table.ts';
import type { PlannedRun } from '../scale/plan.ts';
import { terminal } from './start.ts';

/** At the end of a run: writes and names the table of images that could not be read, if there are any. */
export async function reportErrors(run: PlannedRun): Promise<void> {
  const written = await writeErrorTable(run);
  if (written) terminal.warn(`skipped    ${written.rows} images could not be read: ${written.path}`);
}
