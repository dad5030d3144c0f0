import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findColumn, numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import {
  agiqaQualityThresholds,
  type DatasetLayout,
  fivePointThresholds,
  layoutError,
  requireRoot,
} from './dataset.ts';
import { drawnSplit } from './dataset-splits.ts';

const mosColumns: Record<string, string> = { quality: 'mos_quality', alignment: 'mos_align' };

/** AGIQA-3K (Li et al. 2023): 2,982 generated images, perceptual quality and alignment with the prompt. */
export const agiqa3k: DatasetLayout = {
  name: 'agiqa-3k',
  targets: Object.keys(mosColumns),
  layout:
    'data.csv (columns name, prompt, mos_quality, mos_align, …) with the images next to it or in a subfolder',
  async read(options, target) {
    const root = requireRoot(agiqa3k, options);
    const path = join(root, 'data.csv');
    if (!existsSync(path)) throw layoutError(agiqa3k, root, 'no data.csv');
    const table = await readCsv(path);
    const name = requireColumn(table, ['name']);
    const mos = requireColumn(table, [mosColumns[target] ?? target]);
    const prompt = findColumn(table, ['prompt']);
    const labels = table.rows.map((row) => ({
      name: textField(row, name),
      mos: numberField(table, row, mos),
      prompt: prompt && textField(row, prompt),
    }));
    return {
      root,
      labels,
      split: drawnSplit(labels.length, options),
      thresholds: target === 'quality' ? agiqaQualityThresholds : fivePointThresholds,
    };
  },
};
