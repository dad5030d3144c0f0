import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { readText } from '../../common/read-file.ts';
import { type MatMatrix, readMat, scoreList } from '../formats/mat.ts';
import { type DatasetLayout, type Label, layoutError, requireRoot } from './dataset.ts';
import { splitByReference } from './dataset-splits.ts';

/** The folders of distorted images, in the order of the scores. */
const distortions = ['jp2k', 'jpeg', 'wn', 'gblur', 'fastfading'];

/** The scores after the realignment of the studies (Sheikh et al., IEEE TIP 2006), and those before it. */
const files = [
  { name: 'dmos_realigned.mat', variable: 'dmos_new' },
  { name: 'dmos.mat', variable: 'dmos' },
];

/**
 * LIVE Image Quality Assessment Database, release 2 (Sheikh et al. 2005): 29 images and 779 distorted versions of them. Its
 * scores are DMOS, differences from the reference, of which the lower is the better; they are read as 100 - DMOS.
 */
export const live: DatasetLayout = {
  name: 'live',
  targets: ['quality'],
  layout: `dmos_realigned.mat (or dmos.mat) and the folders ${distortions.map((folder) => `${folder}/`).join(', ')}, each with img1.bmp, img2.bmp, … and info.txt`,
  async read(options) {
    const root = requireRoot(live, options);
    const file = files.find(({ name }) => existsSync(join(root, name)));
    if (!file) throw layoutError(live, root, 'neither dmos_realigned.mat nor dmos.mat');
    const path = join(root, file.name);
    const variables = await readMat(path);
    const dmos = list(variables, path, file.variable);
    const copies = list(variables, path, 'orgs');
    const images = (await Promise.all(distortions.map((folder) => imagesOf(root, folder)))).flat();
    if (dmos.length !== images.length || copies.length !== images.length)
      throw new UserError(
        `${path}: has ${dmos.length} scores, but the info.txt of its folders name ${images.length} images`,
        'Use the scores and folders of one release.',
      );
    const labels: Label[] = [];
    const references: string[] = [];
    for (const [at, { folder, name, reference }] of images.entries()) {
      // Unchanged copies of the references, which everybody gave a difference of 0.
      if (copies[at] === 1) continue;
      labels.push({ name: `${folder}/${name}`, mos: 100 - dmos[at]!, group: folder, content: reference });
      references.push(reference);
    }
    const { split, note } = splitByReference(references, options);
    const notes = ['scores are 100 - DMOS, so that higher is better', note];
    if (file.variable === 'dmos')
      notes.push('dmos.mat holds the scores before realignment; most papers use dmos_realigned.mat');
    return { root, labels, split, grouping: 'distortion', notes };
  },
};

function list(variables: ReadonlyMap<string, MatMatrix>, path: string, name: string): Float64Array {
  const variable = variables.get(name);
  if (!variable)
    throw new UserError(
      `${path}: no variable ${name}; found: ${[...variables.keys()].join(', ') || 'none'}`,
      own,
    );
  return scoreList(variable, `${path}: ${name}`);
}

/** `info.txt` names the reference of each image, in any order; score i of a folder is that of img(i + 1).bmp. */
async function imagesOf(root: string, folder: string) {
  const path = join(root, folder, 'info.txt');
  if (!existsSync(path)) throw layoutError(live, root, `no ${folder}/info.txt`);
  const lines = (await readText(path, 'csvBytes')).split(/\r?\n/);
  checkLimit('csvRows', lines.length, (count) => `${path}: has ${count} lines`);
  const images: { folder: string; name: string; reference: string }[] = [];
  let count = 0;
  for (const [at, text] of lines.entries()) {
    if (text.trim() === '') continue;
    const [reference = '', name = ''] = text.trim().split(/\s+/);
    const number = Number(/^img(\d+)\.\w+$/i.exec(name)?.[1]);
    if (!(number >= 1 && number <= lines.length) || images[number - 1])
      throw new UserError(`${path}, line ${at + 1}: is not a reference image and another imgN.bmp`, own);
    images[number - 1] = { folder, name, reference: reference.toLowerCase() };
    count++;
  }
  if (images.length !== count || count === 0)
    throw new UserError(`${path}: names ${count} images, not img1.bmp to img${images.length}.bmp`, own);
  return images;
}

const own = "Use LIVE's own files.";
