import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import { type DatasetLayout, layoutError, requireRoot } from './dataset.ts';
import { drawnSplit, splitByColumn } from './dataset-splits.ts';

/** The published split of 7,058, 1,000 and 2,015 images. */
const withSets = 'koniq10k_distributions_sets.csv';
/** What comes with the images: no split, and the same scores under another name. */
const withoutSets = 'koniq10k_scores_and_distributions.csv';

/** KonIQ-10k (Hosu et al., IEEE TIP 2020): 10,073 photographs as they are found on the web; MOS 0 to 100. */
export const koniq10k: DatasetLayout = {
  name: 'koniq-10k',
  targets: ['quality'],
  layout: `${withSets} (columns image_name, MOS, set) or ${withoutSets} (image_name, MOS_zscore), and the images in 1024x768/ or 512x384/`,
  async read(options) {
    const root = requireRoot(koniq10k, options);
    const file = [withSets, withoutSets].find((name) => existsSync(join(root, name)));
    if (file === undefined) throw layoutError(koniq10k, root, `neither ${withSets} nor ${withoutSets}`);
    const table = await readCsv(join(root, file));
    const name = requireColumn(table, ['image_name']);
    const mos = requireColumn(table, [file === withSets ? 'MOS' : 'MOS_zscore']);
    const folder = ['1024x768', '512x384'].find((size) => existsSync(join(root, size)));
    const labels = table.rows.map((row) => ({
      name: textField(row, name),
      ...(folder === undefined ? {} : { folder }),
      mos: numberField(table, row, mos),
    }));
    const official = file === withSets;
    const split = official ? splitByColumn(table, 'set') : drawnSplit(labels.length, options);
    const notes = official
      ? []
      : [`the published split is in ${withSets}, which is not there: the split is drawn by --split-seed`];
    return { root, labels, split, notes };
  },
};
