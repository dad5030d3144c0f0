import { join } from 'node:path';
import { checkOutput, prepareFolder } from '../common/files.ts';

/** What an explanation leaves in its folder: the page, every map, and the curves. */
export const explanationFiles = ['explain.html', 'explain.json', 'curves.csv'] as const;

/** Makes the folder, and refuses it before any work is done where nothing can be written there. */
export function prepareExplanations(folder: string): void {
  prepareFolder(folder);
  for (const name of explanationFiles) checkOutput(join(folder, name));
}
