import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import { type DatasetLayout, layoutError, requireRoot } from './dataset.ts';
import { drawnSplit } from './dataset-splits.ts';

const columns: Record<string, string> = {
  quality: 'MOS',
  brightness: 'Brightness',
  colorfulness: 'Colorfulness',
  contrast: 'Contrast',
  noisiness: 'Noisiness',
  sharpness: 'Sharpness',
};

const annotations = 'MOS and Image attribute scores';
const places = ['Annotations', 'annotations', ''].flatMap((folder) =>
  ['.xlsx', '.csv'].map((extension) => join(folder, annotations + extension)),
);

/** SPAQ (Fang et al., CVPR 2020): 11,125 photographs by smartphones, their quality and five attributes; 0 to 100. */
export const spaq: DatasetLayout = {
  name: 'spaq',
  targets: Object.keys(columns),
  layout: `Annotations/${annotations}.xlsx (or .csv; columns Image name, MOS, Brightness, …) and the images in TestImage/`,
  async read(options, target) {
    const root = requireRoot(spaq, options);
    const file = places.find((place) => existsSync(join(root, place)));
    if (file === undefined) throw layoutError(spaq, root, `no Annotations/${annotations}.xlsx`);
    const table = await readCsv(join(root, file));
    const name = requireColumn(table, ['Image name']);
    const mos = requireColumn(table, [columns[target] ?? target]);
    const labels = table.rows.map((row) => ({
      name: textField(row, name),
      folder: 'TestImage',
      mos: numberField(table, row, mos),
    }));
    const split = drawnSplit(labels.length, options);
    return { root, labels, split };
  },
};
