import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { cacheFile } from '../../common/folders.ts';
import { readCsv } from '../formats/csv.ts';
import { anyCsv } from './csv.ts';
import type { DatasetLayout } from './dataset.ts';
import { type Drawing, makeScenes, sceneColumns } from './scenes/make.ts';

/** Images the project draws and distorts itself, so that there is something to train on where no dataset is at hand. */
export const scenes: DatasetLayout = {
  name: 'scenes',
  targets: ['quality'],
  layout: 'generated on first use in the user cache folder or in --root: PNG images and data.csv',
  async read(options, target) {
    const { draw } = options;
    const root = options.root ?? (await standardFolder(draw));
    const csv = join(root, 'data.csv');
    if (!existsSync(csv)) {
      if (!draw)
        throw new UserError(
          `${root}: no scenes found`,
          'Training generates them; pass their folder with --root, or name another dataset with --data.',
        );
      if (holdsFiles(root)) throw new UserError(`${root} holds files, but no generated scenes`, otherDataset);
      await makeScenes(root, undefined, draw);
    }
    const { columns } = await readCsv(csv);
    if (!sceneColumns.every((name) => columns.includes(name)))
      throw new UserError(`${csv} does not describe generated scenes`, otherDataset);
    const read = await anyCsv.read(
      { ...options, root, csv, imageColumn: 'name', mosColumn: 'mos', splitColumn: 'split' },
      target,
    );
    // kind_SCENE_version_distortion.png; the prompt names the distortion, which is another in each version.
    const content = (name: string) => name.split('_', 2).join(' ');
    return {
      ...read,
      grouping: 'kind of scene',
      labels: read.labels.map((label) => ({ ...label, content: content(label.name) })),
    };
  },
};

const otherDataset =
  'Name the dataset, e.g. --data agiqa-3k or --data csv (--help lists them); scenes need an empty or new folder.';

const holdsFiles = (folder: string): boolean =>
  (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false) && readdirSync(folder).length > 0;

/**
 * Where the scenes lie without --root: in the user's cache folder or, where that cannot be written, in the system's folder for
 * temporary files. Drawn there if need be, and if allowed.
 */
async function standardFolder(draw: Drawing | undefined): Promise<string> {
  const cached = cacheFile('scenes-2');
  const others = join(tmpdir(), `clip-agiqa-webgpu-${process.getuid?.() ?? ''}`);
  const temporary = isOwn(others) ? join(others, 'scenes-2') : undefined;
  const found = [cached, temporary].find((folder) => folder && existsSync(join(folder, 'data.csv')));
  if (found || !draw) return found ?? cached;
  try {
    await makeScenes(cached, undefined, draw);
    return cached;
  } catch (error) {
    if (!(error instanceof UserError) || !error.cause || !temporary) throw error;
    draw.reporter.line(`scenes     ${error.message}; generated in ${temporary} instead`);
    await makeScenes(temporary, undefined, draw);
    return temporary;
  }
}

/** Whether a folder, if there is one, is this user's: anyone may make folders among the temporary files. */
function isOwn(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return !found || (found.isDirectory() && (!process.getuid || found.uid === process.getuid()));
}
