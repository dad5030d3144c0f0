import { readdirSync } from 'node:fs';
import { UserError } from '../../common/errors.ts';
import type { Drawing } from './scenes/make.ts';
import type { Split } from './splits.ts';

/** One image with its mean opinion score. */
export interface Sample {
  /** As the label file names it. */
  readonly name: string;
  /** The image file. */
  readonly path: string;
  /** Mean opinion score, in the dataset's own unit. */
  readonly mos: number;
  /** The text the image was generated from. */
  readonly prompt?: string | undefined;
  /** The generator, by the part of the name before the first underscore; or another {@link Dataset.grouping}, e.g. the distortion. */
  readonly generator?: string | undefined;
  /** What it shows, by a name: images of the same prompt, the same reference image or the same scene have the same. */
  readonly content?: string | undefined;
}

/** Labeled images with their split into training, validation and test part. */
export interface Dataset {
  readonly name: string;
  readonly target: string;
  readonly samples: readonly Sample[];
  readonly split: Split;
  /** Exclusive upper bounds of the quality classes but the best, e.g. of terrible, bad, poor, average and good. */
  readonly thresholds: readonly number[];
  /** Set where the thresholds are quantiles of the training images' scores, not published ones. */
  readonly quantileThresholds?: boolean;
  /** What `generator` of a sample names, where that is no generator: a noun such as `distortion`. */
  readonly grouping?: string;
  /** Set where the images are versions of others, as by distortion, that are nearly alike on purpose. */
  readonly versions?: boolean;
  /** Of images that belong to classes instead of having scores: the classes' names, of which `mos` is the number from 0. */
  readonly classNames?: readonly string[];
  /** Smallest and largest MOS of the samples. */
  readonly range: readonly [number, number];
  /** Labeled images that were not found; they are in no part of the split. */
  readonly missing: readonly string[];
  /** What is worth telling of how it was read. */
  readonly notes: readonly string[];
}

/** What to open and how. */
export interface DatasetOptions {
  /** One of `datasetNames`, or another name that `datasetName` knows. */
  readonly name: string;
  /** The dataset's folder. For `csv` the folder the image names start from (default: that of the file). */
  readonly root?: string | undefined;
  /** Which score, for instance `quality`; the dataset's first by default. */
  readonly target?: string | undefined;
  /** Test part, as a fraction or a count; 0.2 as published. Not for datasets that bring their own split. */
  readonly testSize?: number;
  /** Seed of the split; 42 as published. */
  readonly splitSeed?: number;
  /** Use only so many images in all, taken from the parts in proportion: the same for every seed. */
  readonly limit?: number | undefined;
  /** Few-shot training: at most so many training images a class. */
  readonly shots?: number | undefined;
  /** Seed of `shots`. */
  readonly seed?: number;
  /** The label file of the `csv` dataset. */
  readonly csv?: string | undefined;
  readonly imageColumn?: string;
  readonly mosColumn?: string;
  /** Column of class names, in place of scores. */
  readonly classColumn?: string | undefined;
  /** How many quality classes the scores are put into; 6 by default, as published. */
  readonly classes?: number;
  /** Column that says train, val or test. */
  readonly splitColumn?: string | undefined;
  /** Given where `scenes` may be drawn if they are missing. Without it opening a dataset only reads. */
  readonly draw?: Drawing | undefined;
}

/** A label as read from a dataset's files, before its image is looked for. */
export interface Label {
  readonly name: string;
  /** Folder of the image below the root, where the layout tells. */
  readonly folder?: string;
  readonly mos: number;
  readonly prompt?: string | undefined;
  /** What it is counted with, see {@link Labels.grouping}; by default the generator that its name begins with. */
  readonly group?: string | undefined;
  /** What it shows, where the prompt does not tell; see {@link Sample}. */
  readonly content?: string | undefined;
}

/** What a dataset's files say. */
export interface Labels {
  readonly root: string;
  readonly labels: readonly Label[];
  readonly split: Split;
  /** The published bounds of six classes; otherwise, and for another number, the classes are of equal size. */
  readonly thresholds?: readonly number[];
  readonly classNames?: readonly string[];
  /** What the images are grouped by, if not by generator. */
  readonly grouping?: string;
  readonly notes?: readonly string[];
}

/** What to call that by which a dataset's images are grouped. */
export const groupingOf = ({ grouping = 'generator' }: { readonly grouping?: string | undefined }): string =>
  grouping;

/** How one dataset is laid out and read. */
export interface DatasetLayout {
  readonly name: string;
  /** The scores there are; the first is the default. Empty if the caller names a column instead. */
  readonly targets: readonly string[];
  /** The layout in words, for error messages. */
  readonly layout: string;
  read(options: DatasetOptions, target: string): Promise<Labels>;
}

/** The published bounds for AGIQA-3K's quality, which AIGCQA uses too. */
export const agiqaQualityThresholds: readonly number[] = [1.231, 2.266, 2.749, 3.092, 3.456];

/** Bounds half-way between the whole numbers of a five-point scale. */
export const fivePointThresholds: readonly number[] = [0.5, 1.5, 2.5, 3.5, 4.5];

export const publishedTestSize = 0.2;
export const publishedSplitSeed = 42;

/** The folder given by the user, or an error that says what it should hold. */
export function requireRoot(layout: DatasetLayout, options: DatasetOptions): string {
  if (options.root === undefined)
    throw new UserError(
      `${layout.name} needs --root, the folder of the dataset`,
      `Pass --root DIR. Expected: ${layout.layout}`,
    );
  return options.root;
}

/** An error that says what layout was expected and what lies there instead. */
export function layoutError(layout: DatasetLayout, root: string, problem: string): UserError {
  return new UserError(
    `${root}: ${problem}; found ${describeFolder(root)}`,
    `Expected layout of ${layout.name}: ${layout.layout}`,
  );
}

function describeFolder(root: string): string {
  let entries: string[];
  try {
    entries = readdirSync(root, { withFileTypes: true }).map((e) =>
      e.isDirectory() ? `${e.name}/` : e.name,
    );
  } catch {
    return 'no such folder';
  }
  if (entries.length === 0) return 'an empty folder';
  const shown = entries.sort().slice(0, 8).join(', ');
  return entries.length > 8 ? `${shown} and ${entries.length - 8} more` : shown;
}
