import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findColumn, numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import {
  agiqaQualityThresholds,
  type DatasetLayout,
  type Label,
  layoutError,
  requireRoot,
} from './dataset.ts';

/** AIGIQA-20K, called AIGCQA-30K in its release (Li et al. 2024): 20,000 generated images with a split of their own. */
export const aigcqa: DatasetLayout = {
  name: 'aigcqa',
  targets: ['quality'],
  layout: 'train.csv, val.csv and test.csv (columns name, mos), images in train/, val/ and test/',
  async read(options) {
    const root = requireRoot(aigcqa, options);
    const labels: Label[] = [];
    const readPart = async (part: string) => {
      const path = join(root, `${part}.csv`);
      if (!existsSync(path)) throw layoutError(aigcqa, root, `no ${part}.csv`);
      const table = await readCsv(path);
      const name = requireColumn(table, ['name']);
      const mos = requireColumn(table, ['mos']);
      const prompt = findColumn(table, ['prompt']);
      return Int32Array.from(
        table.rows,
        (row) =>
          labels.push({
            name: textField(row, name),
            folder: part,
            mos: numberField(table, row, mos),
            prompt: prompt && textField(row, prompt),
          }) - 1,
      );
    };
    const split = {
      train: await readPart('train'),
      val: await readPart('val'),
      test: await readPart('test'),
    };
    return { root, labels, split, thresholds: agiqaQualityThresholds };
  },
};
