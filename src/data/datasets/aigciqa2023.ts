import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import { readMat, scoreList } from '../formats/mat.ts';
import { type DatasetLayout, type Label, layoutError, requireRoot } from './dataset.ts';
import { drawnSplit } from './dataset-splits.ts';

const targets = ['quality', 'authenticity', 'correspondence'];

/** AIGCIQA2023 (Wang et al. 2023): 2,400 generated images; MOS about 26 to 74. */
export const aigciqa2023: DatasetLayout = {
  name: 'aigciqa2023',
  targets,
  layout:
    'allimg/0.png … 2399.png and MOS/mosz1.mat (quality), mosz2.mat (authenticity), mosz3.mat (correspondence), ' +
    'or mos_quality.csv, mos_authenticity.csv, mos_correspondence.csv (columns name, mos)',
  async read(options, target) {
    const root = requireRoot(aigciqa2023, options);
    const find = (file: string) =>
      ['MOS', '', 'DATA/MOS'].map((folder) => join(root, folder, file)).find((path) => existsSync(path));
    const matName = `mosz${targets.indexOf(target) + 1}.mat`;
    const csvName = `mos_${target}.csv`;
    const mat = find(matName);
    const csv = find(csvName);
    if (mat === undefined && csv === undefined)
      throw layoutError(aigciqa2023, root, `neither MOS/${matName} nor ${csvName}`);
    const labels = mat !== undefined ? await labelsOfMat(mat) : await labelsOfCsv(csv!);
    return {
      root,
      labels,
      split: drawnSplit(labels.length, options),
      thresholds: [30, 40, 50, 60, 70],
    };
  },
};

/** Row i of the variable MOSz belongs to image i.png. */
async function labelsOfMat(path: string): Promise<Label[]> {
  const variables = await readMat(path);
  const mos = variables.get('MOSz');
  if (!mos)
    throw new UserError(
      `${path}: no variable MOSz; found: ${[...variables.keys()].join(', ') || 'none'}`,
      "Use AIGCIQA2023's own MOS files.",
    );
  const scores = scoreList(mos, `${path}: MOSz`);
  return Array.from(scores, (value, i) => ({ name: `${i}.png`, folder: 'allimg', mos: value }));
}

async function labelsOfCsv(path: string): Promise<Label[]> {
  const table = await readCsv(path);
  const name = requireColumn(table, ['name']);
  const mos = requireColumn(table, ['mos']);
  return table.rows.map((row) => ({
    name: textField(row, name),
    folder: 'allimg',
    mos: numberField(table, row, mos),
  }));
}
