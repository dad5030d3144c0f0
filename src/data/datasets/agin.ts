import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import {
  type DatasetLayout,
  fivePointThresholds,
  layoutError,
  publishedSplitSeed,
  publishedTestSize,
  requireRoot,
} from './dataset.ts';
import { trainTestSplit } from './splits.ts';

const mosColumns: Record<string, string[]> = {
  naturalness: ['MOS_nat', 'MOS_naturalness', 'naturalness'],
  technical: ['MOS_tech', 'MOS_technical', 'technical'],
  rationality: ['MOS_rat', 'MOS_rationality', 'MOS_rational', 'rationality'],
};

/** Share of what is not test that validates. */
const validationSize = 0.125;

/** AGIN (Chen et al. 2023): 6,049 images, naturalness and its technical and rational side; MOS 1 to 5. */
export const agin: DatasetLayout = {
  name: 'agin',
  targets: Object.keys(mosColumns),
  layout: 'MOS.csv (columns filename, MOS_nat, MOS_tech, MOS_rat) and the images in images/',
  async read(options, target) {
    const root = requireRoot(agin, options);
    const path = join(root, 'MOS.csv');
    if (!existsSync(path)) throw layoutError(agin, root, 'no MOS.csv');
    const table = await readCsv(path);
    const name = requireColumn(table, ['filename', 'name']);
    const mos = requireColumn(table, mosColumns[target] ?? [target]);
    const labels = table.rows.map((row) => ({
      name: textField(row, name),
      folder: 'images',
      mos: numberField(table, row, mos),
    }));
    const { testSize = publishedTestSize, splitSeed = publishedSplitSeed } = options;
    const outer = trainTestSplit(labels.length, testSize, splitSeed);
    const inner = trainTestSplit(outer.train.length, validationSize, splitSeed);
    return {
      root,
      labels,
      split: {
        train: inner.train.map((at) => outer.train[at]!),
        val: inner.test.map((at) => outer.train[at]!),
        test: outer.test,
      },
      thresholds: fivePointThresholds,
    };
  },
};
