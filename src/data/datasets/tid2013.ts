import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { readText } from '../../common/read-file.ts';
import { type DatasetLayout, type Label, layoutError, requireRoot } from './dataset.ts';
import { splitByReference } from './dataset-splits.ts';

/** A score, and a name of reference image, kind and level of the distortion: `5.51429 I01_01_1.bmp`. */
const line = /^\s*(\d+(?:\.\d+)?)\s+((i\d+)_(\d+)_\d+\.\w+)\s*$/i;

/** TID2013 (Ponomarenko et al. 2015): 25 images, each distorted in 24 ways at five levels; MOS 0 to 9. */
export const tid2013: DatasetLayout = {
  name: 'tid2013',
  targets: ['quality'],
  layout: 'mos_with_names.txt (a line "MOS NAME" an image) and the images in distorted_images/',
  async read(options) {
    const root = requireRoot(tid2013, options);
    const path = join(root, 'mos_with_names.txt');
    if (!existsSync(path)) throw layoutError(tid2013, root, 'no mos_with_names.txt');
    const lines = (await readText(path, 'csvBytes')).split(/\r?\n/);
    checkLimit('csvRows', lines.length, (count) => `${path}: has ${count} lines`);
    const labels: Label[] = [];
    const references: string[] = [];
    for (const [at, text] of lines.entries()) {
      if (text.trim() === '') continue;
      const [, mos, name, reference, kind] = line.exec(text) ?? [];
      if (mos === undefined || name === undefined || reference === undefined)
        throw new UserError(
          `${path}, line ${at + 1}: is not a score and a name such as I01_01_1.bmp`,
          "Use TID2013's own mos_with_names.txt.",
        );
      // The last reference image is i25, the others I01 to I24.
      const content = reference.toUpperCase();
      labels.push({
        name,
        folder: 'distorted_images',
        mos: Number(mos),
        group: `distortion ${kind}`,
        content,
      });
      references.push(content);
    }
    if (labels.length === 0) throw layoutError(tid2013, root, 'an empty mos_with_names.txt');
    const { split, note } = splitByReference(references, options);
    return { root, labels, split, grouping: 'distortion', notes: [note] };
  },
};
