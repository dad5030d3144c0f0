import { UserError } from '../../common/errors.ts';
import { writeOutput } from '../../common/files.ts';
import { csvText } from '../formats/csv-writer.ts';
import { agin } from './agin.ts';
import { agiqa3k } from './agiqa-3k.ts';
import { aigciqa2023 } from './aigciqa2023.ts';
import { aigcqa } from './aigcqa.ts';
import { anyCsv } from './csv.ts';
import {
  type Dataset,
  type DatasetLayout,
  type DatasetOptions,
  layoutError,
  type Sample,
} from './dataset.ts';
import { quantiles } from './dataset-splits.ts';
import { refuseRepeated } from './duplicates.ts';
import { locateImages } from './images.ts';
import { kadid10k } from './kadid-10k.ts';
import { koniq10k } from './koniq-10k.ts';
import { live } from './live.ts';
import { datasetName, datasetNames } from './names.ts';
import { scenes } from './scenes.ts';
import { spaq } from './spaq.ts';
import { classOf, fewShot, limitSplit, type Split } from './splits.ts';
import { tid2013 } from './tid2013.ts';

export { type Dataset, type DatasetOptions, groupingOf, type Sample } from './dataset.ts';

const layouts: readonly DatasetLayout[] = [
  ...[agiqa3k, aigciqa2023, agin, aigcqa],
  ...[koniq10k, spaq, kadid10k, tid2013, live],
  ...[anyCsv, scenes],
];

/** Not the run's own seed: runs of several seeds are compared on the same images. */
const limitSeed = 1;

/** Reads a dataset's labels, finds its images and splits them; nothing is decoded yet. */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const named = datasetName(options.name);
  const layout = layouts.find(({ name }) => name === named);
  if (!layout)
    throw new UserError(`unknown dataset "${options.name}"`, `Known datasets: ${datasetNames.join(', ')}.`);
  const target = options.target ?? layout.targets[0] ?? options.classColumn ?? options.mosColumn ?? 'mos';
  if (layout.targets.length > 0 && !layout.targets.includes(target))
    throw new UserError(`${layout.name} has no score "${target}"`, `It has: ${layout.targets.join(', ')}.`);

  const {
    root,
    labels,
    split: fullSplit,
    notes = [],
    classNames,
    grouping,
    ...read
  } = await layout.read(options, target);
  const { classes = 6 } = options;
  const published = classNames || read.thresholds?.length === classes - 1 ? read.thresholds : undefined;
  const thresholds = published ?? quantiles(labels, fullSplit, classes);
  const paths = await locateImages(root, labels);
  refuseRepeated(root, labels, paths);
  const samples: Sample[] = [];
  const missing: string[] = [];
  const position = new Int32Array(labels.length).fill(-1);
  labels.forEach(({ name, mos, prompt, group, content = contentOf(prompt) }, at) => {
    const path = paths[at];
    if (path === undefined) {
      missing.push(name);
      return;
    }
    const generator = group ?? generatorOf(name);
    position[at] = samples.push({ name, path, mos, prompt: prompt || undefined, generator, content }) - 1;
  });
  if (samples.length === 0)
    throw layoutError(layout, root, `none of the ${labels.length} labeled images (${missing[0]}, …) exists`);

  const present = (part: Int32Array) => part.map((at) => position[at]!).filter((at) => at >= 0);
  let split: Split = {
    train: present(fullSplit.train),
    val: present(fullSplit.val),
    test: present(fullSplit.test),
  };
  const { seed = 1 } = options;
  if (options.shots !== undefined) {
    const labelClasses = samples.map(({ mos }) => classOf(mos, thresholds));
    split = { ...split, train: fewShot(split.train, labelClasses, options.shots, seed) };
  }
  if (options.limit !== undefined) split = limitSplit(split, options.limit, limitSeed);
  const range: [number, number] = [Infinity, -Infinity];
  for (const { mos } of samples) {
    range[0] = Math.min(range[0], mos);
    range[1] = Math.max(range[1], mos);
  }
  return {
    name: layout.name,
    target,
    samples,
    split,
    thresholds,
    ...(!published && { quantileThresholds: true }),
    ...(labels.some(({ content }) => content !== undefined) && { versions: true }),
    ...(classNames && { classNames }),
    ...(grouping && { grouping }),
    range,
    missing,
    notes,
  };
}

/** A prompt by which images are told apart: not by its case or its spaces. */
const contentOf = (prompt: string | undefined): string | undefined =>
  prompt?.trim().replaceAll(/\s+/g, ' ').toLowerCase() || undefined;

function generatorOf(name: string): string | undefined {
  const file = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  const underscore = file.indexOf('_');
  return underscore > 0 ? file.slice(0, underscore) : undefined;
}

/** Writes the split in use as CSV (name, mos or class, split), which the `csv` dataset reads back with `splitColumn: 'split'`. */
export async function writeSplitCsv(path: string, dataset: Dataset): Promise<void> {
  const { classNames } = dataset;
  const rows = (['train', 'val', 'test'] as const).flatMap((part) =>
    Array.from(dataset.split[part], (at) => {
      const { name, mos } = dataset.samples[at]!;
      return [name, classNames?.[mos] ?? mos, part];
    }),
  );
  await writeOutput(path, csvText([['name', classNames ? 'class' : 'mos', 'split'], ...rows]));
}
