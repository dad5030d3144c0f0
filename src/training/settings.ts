import { applyValues, defaultValues, type FieldValues, field } from '../common/fields.ts';
import type { DatasetOptions } from '../data/datasets/index.ts';
import { datasetName, datasetNames } from '../data/datasets/names.ts';
import { type StorageType, storageTypes } from '../data/formats/float16.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { type TuneChoice, tuneChoices } from '../kernels/device/tuning.ts';
import type { ClipOptions } from '../model/clip.ts';
import { type Activation, activations } from '../model/config.ts';
import { type HeadKind, headKinds } from '../model/head.ts';
import { wordsOf } from './words.ts';

/** Shared by every command that trains. */
export const tuneField = field<TuneChoice>(
  'auto',
  'time the kernel variants on the shapes of the run and remember the fastest; auto: on a GPU only, not on a software adapter',
  tuneChoices,
);

/**
 * Every setting of a training run. This table is the only place that names them: the configuration files, the command
 * line (`nCtx` is `--n-ctx`), the help text and the saved `config.yaml` are made from it. Defaults are those of the
 * published CLIP-AGIQA (and of Dassl underneath), except for `views`, which the published code does not have.
 */
export const fields = {
  data: field(
    'scenes',
    `dataset: ${datasetNames.filter((name) => name !== 'scenes').join(', ')}, or scenes (images generated and distorted by the program)`,
  ),
  root: field('', 'folder of the dataset'),
  target: field(
    '',
    "which score to predict (quality, alignment, authenticity, …); empty: the dataset's first",
  ),
  csv: field('', 'with --data csv: the file with image names and scores'),
  imageColumn: field('name', 'with --data csv: column of image names'),
  mosColumn: field('mos', 'with --data csv: column of scores'),
  classColumn: field(
    '',
    'with --data csv and --trainer coop or zero-shot: column of class names; the model then tells these classes apart instead of scoring',
  ),
  splitColumn: field('', 'with --data csv: column of train, val or test'),
  testSize: field(0.2, 'fraction of images in the test set if the dataset has no split'),
  splitSeed: field(42, 'seed of the split (that of scikit-learn train_test_split)'),
  limit: field(0, 'use only this many images, train and test in proportion, the same for every seed; 0: all'),
  shots: field(0, 'train on this many images of each quality class; 0: all'),
  weights: field(
    'embedded',
    'CLIP weights: safetensors, .pt, a Hugging Face folder, or embedded (the small model included in the package)',
  ),
  weightType: field<StorageType>('float32', 'storage type of the frozen matrices on the GPU', storageTypes),
  activation: field<'auto' | Activation>(
    'auto',
    'MLP activation; auto: the one named in the file, else QuickGELU',
    ['auto', ...activations],
  ),
  trainer: field<'clip-agiqa' | 'clip-agiqa-plus' | 'linear' | 'image-only' | 'coop' | 'zero-shot'>(
    'clip-agiqa',
    'clip-agiqa (learnable prompts and head), clip-agiqa-plus (head on what image-only takes, with the similarities of image and learnable prompts), linear (head only, fixed prompts), image-only (head on the image feature alone), coop (prompts learn the quality classes) or zero-shot (no training)',
    ['clip-agiqa', 'clip-agiqa-plus', 'linear', 'image-only', 'coop', 'zero-shot'],
  ),
  nCtx: field(16, 'number of context vectors'),
  ctxInit: field('', 'words whose embeddings start the context, e.g. "a photo of a" (sets --n-ctx)'),
  words: field(
    '',
    'quality words of the prompts, worst to best, e.g. "bad,average,good"; empty: terrible, bad, poor, average, good, perfect',
  ),
  position: field<'end' | 'middle' | 'front'>('end', 'position of the quality word in the prompt', [
    'end',
    'middle',
    'front',
  ]),
  classSpecific: field(false, 'separate context vectors for each word (CSC)'),
  pool: field<'cls' | 'mean' | 'stats'>(
    'cls',
    'image-only and clip-agiqa-plus: class token, mean of the patch tokens, or class token with the mean and standard deviation of the patch tokens',
    ['cls', 'mean', 'stats'],
  ),
  scaling: field<'unit' | 'standard'>(
    'unit',
    'image-only and clip-agiqa-plus: features scaled to unit length, or each dimension to mean 0 and standard deviation 1 over the training images',
    ['unit', 'standard'],
  ),
  layers: field(
    '',
    'image-only and clip-agiqa-plus: blocks whose outputs are pooled, e.g. 4,8,12; empty: the last one, or with --pool cls the projected feature',
  ),
  template: field('a photo of {word} quality.', 'zero-shot: prompt for a quality word'),
  scoreBy: field<'words' | 'antonyms'>(
    'words',
    'zero-shot: score by the quality words, or by "Good photo." vs. "Bad photo."',
    ['words', 'antonyms'],
  ),
  mosScaling: field<'none' | 'standard'>(
    'none',
    'scaling of the scores for training: none, or mean 0 and standard deviation 1 (more stable where MOS values are large, e.g. 26 to 74); predictions are in MOS units either way',
    ['none', 'standard'],
  ),
  crops: field(
    0,
    'image-only and clip-agiqa-plus: crops of the image at its own resolution, 0 to 9, whose mean feature goes beside that of the resized image; resizing averages away grain, sharpness and compression',
    { max: 9 },
  ),
  featureLength: field(
    false,
    'image-only and clip-agiqa-plus: the length of the projected feature, which scaling to unit length discards, as one more input of the head',
  ),
  loss: field(
    'mse',
    'loss of a regression head: mse, plcc (1 - PLCC of the batch), norm-in-norm, fidelity (order of all pairs), order (each image above its degraded --versions), grades (graded response: probabilities of the quality words), or a weighted sum, e.g. 0.3*mse+plcc',
  ),
  head: field<HeadKind>(
    'relu',
    'hidden layer of the regression head: relu, sigmoid, or gated (half of it decides how much of the other half passes)',
    headKinds,
  ),
  versions: field(
    0,
    'image-only and clip-agiqa-plus: degraded versions of each training image (JPEG, blur or noise, each worse than the one before) for --loss order',
    { max: 8 },
  ),
  members: field(
    1,
    'image-only and clip-agiqa-plus: heads that are trained side by side, each from its own initialization; the score is their mean',
    { min: 1, max: 64 },
  ),
  doubtFolds: field(
    0,
    'image-only and clip-agiqa-plus: after training, heads are trained without each of so many parts of the training prompts in turn, and how far off they are there says how sure a score is; 0: not',
    { max: 100 },
  ),
  hidden: field(0, 'hidden width of the head; 0: the width of the feature of one prompt', { max: 16384 }),
  dropout: field(0.5, 'dropout probability in the head', { max: 0.99 }),
  inputDropout: field(
    0,
    "dropout probability before the head's first layer, where it differs from --dropout; 0: the same",
    { max: 0.99, whole: false },
  ),
  epochs: field(100, 'passes over the training images', { max: 1e6 }),
  batchSize: field(32, 'images per step', { min: 1 }),
  optimizer: field<'sgd' | 'adamw'>('sgd', 'sgd (with momentum) or adamw (decoupled weight decay)', [
    'sgd',
    'adamw',
  ]),
  lr: field(0.002, 'learning rate after warm-up'),
  momentum: field(0.9, 'SGD momentum', { max: 1 }),
  weightDecay: field(5e-4, 'weight decay'),
  warmupEpochs: field(1, 'epochs at the warm-up rate'),
  warmupLr: field(1e-5, 'learning rate of the warm-up'),
  augment: field<'crop' | 'none'>(
    'crop',
    'training images: random resized crop and flip, or none: center crop, as in testing',
    ['crop', 'none'],
  ),
  views: field(
    4,
    'random crops per image, drawn in advance, encoded once and cached; 0: a new crop every step, as published',
  ),
  cache: field('', 'folder of the feature cache; empty: in the user cache folder; none: no cache'),
  cacheType: field<StorageType>(
    'float32',
    'storage type of the cached features; float16 halves the disk space and rounds them (relative error 5e-4)',
    storageTypes,
  ),
  valSize: field(
    0.1,
    'fraction of the training images held out for best_val if the dataset has no validation set',
  ),
  finalModel: field<'last' | 'best_val'>('last', 'which epoch to keep', ['last', 'best_val']),
  seed: field(1, 'seed of initialization, crops, shuffling and dropout', { max: Number.MAX_SAFE_INTEGER }),
  encodeBatch: field(
    encodeBatch,
    'batch size of the image tower; changing it may change the last bits of a feature',
    { min: 1 },
  ),
  tune: tuneField,
  out: field('', 'folder for the results; empty: output/DATA/TRAINER/…/seedN'),
} as const;

export type SettingName = keyof typeof fields;
/** Every setting of a training run, by name; `node dist/train.js --help` says what each means. */
export type Settings = FieldValues<typeof fields>;

export const settingNames = Object.keys(fields) as SettingName[];

/** The settings that say which images and scores to read. */
export const datasetSettings = [
  'data',
  'root',
  'target',
  'csv',
  'imageColumn',
  'mosColumn',
  'classColumn',
  'splitColumn',
  'testSize',
  'splitSeed',
  'limit',
  'shots',
  'seed',
] as const satisfies readonly SettingName[];

/** Every setting as it is where nothing else is asked for. */
export const defaultSettings = (): Settings => defaultValues(fields);

/** Merges values, from a file or the command line, over settings; unknown names and wrong types are refused. */
export const applySettings = (settings: Settings, values: unknown, where: string): Settings =>
  canonical(applyValues(fields, settings, values, where));

/** Settings with the dataset's own name, by which runs are compared and folders named. */
export const canonical = (settings: Settings): Settings => ({
  ...settings,
  data: datasetName(settings.data),
});

/** How the settings have CLIP loaded. */
export function clipOptions({
  weightType,
  activation,
}: Settings): Pick<ClipOptions, 'weightType' | 'activation'> {
  return { weightType, ...(activation === 'auto' ? {} : { activation }) };
}

/** What openDataset wants to know, from a run's settings: empty texts and zeros mean "not given". */
export function datasetOptions(settings: Settings): DatasetOptions {
  return {
    name: settings.data,
    root: settings.root || undefined,
    target: settings.target || undefined,
    testSize: settings.testSize,
    splitSeed: settings.splitSeed,
    limit: settings.limit || undefined,
    shots: settings.shots || undefined,
    seed: settings.seed,
    csv: settings.csv || undefined,
    imageColumn: settings.imageColumn,
    mosColumn: settings.mosColumn,
    classColumn: settings.classColumn || undefined,
    splitColumn: settings.splitColumn || undefined,
    classes: wordsOf(settings).length,
  };
}
