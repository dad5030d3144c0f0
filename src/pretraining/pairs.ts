import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { trainedAndHeld } from '../data/datasets/duplicates.ts';
import { type Dataset, openDataset } from '../data/datasets/index.ts';
import type { Drawing } from '../data/datasets/scenes/make.ts';
import { readCsv, requireColumn, textField } from '../data/formats/csv.ts';
import { imagesBelow } from '../data/images/find.ts';
import type { PretrainingSettings } from './settings.ts';

/** An image and what is said of it. */
export interface Pair {
  /** As the label file, the CSV or the folder names it: the same wherever the images lie. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly generator: string;
  /** Its MOS as a share of the dataset's range, 0 the worst; null where there is no score. */
  readonly quality: number | null;
}

export interface Pairs {
  readonly pairs: readonly Pair[];
  /** Exclusive upper bounds of the quality words but the last, as shares of the range. */
  readonly thresholds: readonly number[];
  /** Training images left out because a test image has the same bytes. */
  readonly excluded: readonly string[];
}

/** Bounds of six equal steps, for images without scores. */
const equalSteps = [1, 2, 3, 4, 5].map((i) => i / 6);

/** The pairs to learn from: a dataset's training part (`draw`: scenes may be drawn), or the given CSV or folder. */
export async function readPairs(settings: PretrainingSettings, draw?: Drawing): Promise<Pairs> {
  const { pairs: source, limit } = settings;
  if (source !== '') {
    if (!existsSync(source)) throw new UserError(`${source}: no such file or folder`, 'Check --pairs.');
    const pairs = statSync(source).isDirectory()
      ? await pairsOfFolder(source)
      : await pairsOfCsv(source, settings);
    if (pairs.length === 0)
      throw new UserError(
        `${source}: holds no image with a caption`,
        'Expected: a CSV of images and captions, or a folder of images, each with a caption in a .txt file of the same name or in a subfolder named after its class.',
      );
    return { pairs: limit > 0 ? pairs.slice(0, limit) : pairs, thresholds: equalSteps, excluded: [] };
  }
  const dataset = await openDataset({
    name: settings.data,
    root: settings.root || undefined,
    limit: limit || undefined,
    draw,
  });
  return trainingPairs(dataset);
}

/** A dataset's training part without the images that are also, byte for byte, in its validation or test part. */
export async function trainingPairs(dataset: Dataset): Promise<Pairs> {
  const { samples, split, range, thresholds } = dataset;
  const twins = new Set((await trainedAndHeld(dataset)).map(({ trained }) => trained));
  // Scores that are all the same say nothing.
  const scored = range[1] > range[0];
  const share = (mos: number) => (mos - range[0]) / (range[1] - range[0]);
  const pairs: Pair[] = [];
  const excluded: string[] = [];
  for (const at of split.train) {
    const { name, path, mos, prompt = '', generator = '' } = samples[at]!;
    if (twins.has(at)) excluded.push(name);
    else pairs.push({ name, path, text: prompt, generator, quality: scored ? share(mos) : null });
  }
  return { pairs, thresholds: scored ? thresholds.map(share) : equalSteps, excluded };
}

async function pairsOfCsv(path: string, settings: PretrainingSettings): Promise<Pair[]> {
  const table = await readCsv(path);
  const image = requireColumn(table, [settings.imageColumn], 'Name it with --image-column.');
  const caption = requireColumn(table, [settings.captionColumn], 'Name it with --caption-column.');
  const root = settings.root || dirname(path);
  return table.rows.map((row) => {
    const name = textField(row, image);
    const file = join(root, name);
    if (!existsSync(file))
      throw new UserError(
        `${path}, line ${row.line}: ${file} does not exist`,
        'Pass the folder of the images with --root.',
      );
    return { name, path: file, text: textField(row, caption), generator: '', quality: null };
  });
}

/** Captions are the .txt file of the image's name, else the name of its sub-folder. */
async function pairsOfFolder(folder: string): Promise<Pair[]> {
  const places = new Map<string, string>();
  for (const [name, place] of imagesBelow(folder)) if (!places.has(place)) places.set(place, name);
  const names = [...places.values()];
  const pairs: Pair[] = [];
  for (const name of names.sort()) {
    const path = join(folder, name);
    const beside = path.slice(0, -extname(path).length).concat('.txt');
    const text = existsSync(beside)
      ? (await readFile(beside, 'utf8')).trim()
      : dirname(name) === '.'
        ? ''
        : basename(dirname(name)).replaceAll(/[_-]+/g, ' ');
    if (text !== '') pairs.push({ name, path, text, generator: '', quality: null });
  }
  return pairs;
}
