import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../common/folders.ts';
import { makeScenes } from '../scenes/make.ts';
import { anyCsv } from './csv.ts';
import type { DatasetLayout } from './dataset.ts';

/** Pictures the project draws and spoils itself, so that there is something to train on where no data set is at hand. */
export const scenes: DatasetLayout = {
  name: 'scenes',
  targets: ['quality'],
  layout: 'made on first use in the user cache folder, or in --root: PNG pictures and data.csv',
  async read(options, target) {
    const root = options.root ?? join(cacheFolder(), 'scenes-2');
    const csv = join(root, 'data.csv');
    if (!existsSync(csv)) await makeScenes(root);
    return anyCsv.read(
      { ...options, root, csv, imageColumn: 'name', mosColumn: 'mos', splitColumn: 'split' },
      target,
    );
  },
};
