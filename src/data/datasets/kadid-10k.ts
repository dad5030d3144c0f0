import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import { type DatasetLayout, layoutError, requireRoot } from './dataset.ts';
import { splitByReference } from './dataset-splits.ts';

/**
 * KADID-10k (Lin et al., QoMEX 2019): 81 images, each distorted in 25 ways at five levels. The column is called dmos, but is a
 * mean opinion score, 1 to 5, of which the higher is the better.
 */
export const kadid10k: DatasetLayout = {
  name: 'kadid-10k',
  targets: ['quality'],
  layout: 'dmos.csv (columns dist_img, ref_img, dmos) and the images in images/',
  async read(options) {
    const root = requireRoot(kadid10k, options);
    const path = join(root, 'dmos.csv');
    if (!existsSync(path)) throw layoutError(kadid10k, root, 'no dmos.csv');
    const table = await readCsv(path);
    const name = requireColumn(table, ['dist_img']);
    const reference = requireColumn(table, ['ref_img']);
    const mos = requireColumn(table, ['dmos']);
    const labels = table.rows.map((row) => {
      const image = textField(row, name);
      // I01_07_3.png: image, kind and level of the distortion.
      const kind = /_(\d+)_\d+\.\w+$/.exec(image)?.[1];
      return {
        name: image,
        folder: 'images',
        mos: numberField(table, row, mos),
        content: textField(row, reference),
        ...(kind === undefined ? {} : { group: `distortion ${kind}` }),
      };
    });
    const references = table.rows.map((row) => textField(row, reference));
    const { split, note } = splitByReference(references, options);
    return { root, labels, split, grouping: 'distortion', notes: [note] };
  },
};
