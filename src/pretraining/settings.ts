import { type FieldValues, field } from '../common/fields.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { tuneField } from '../training/settings.ts';

/**
 * Every setting of contrastive pre-training: CLIP's recipe in small, with distortions and, on request, a teacher.
 */
export const pretrainingFields = {
  data: field(
    'agiqa-3k',
    'labeled dataset whose training set is used: agiqa-3k, aigciqa2023, agin, aigcqa, csv or scenes',
  ),
  root: field('', 'folder of the dataset'),
  pairs: field(
    '',
    'instead of a dataset: a CSV of images and captions, or a folder of images with captions in .txt files or one subfolder per class',
  ),
  imageColumn: field('image', 'with --pairs FILE.csv: column of image names'),
  captionColumn: field('caption', 'with --pairs FILE.csv: column of captions'),
  limit: field(0, 'use only this many images; 0: all'),
  caption: field(
    '{quality} quality picture of {text}{damage}',
    'caption template of a view; separate several by |; placeholders: {text}, {quality} (a word for the MOS after distortion), {damage} (the distortion), {generator}',
  ),
  imageSize: field(224, 'side of an image in pixels'),
  patchSize: field(16, 'side of a patch in pixels'),
  visionWidth: field(128, 'width of the image tower (64 per head)'),
  visionLayers: field(6, 'blocks of the image tower'),
  start: field(
    'spectral',
    'initial weights of the image tower: statistics of local spectra, or random as in CLIP',
    ['spectral', 'random'],
  ),
  textWidth: field(64, 'width of the text tower (64 per head)'),
  textLayers: field(3, 'blocks of the text tower'),
  embedding: field(128, 'width of the joint embedding space'),
  views: field(6, 'views (crop, flip, distortion) per image'),
  minArea: field(0.5, 'smallest area of a crop, as a fraction of the image'),
  distorted: field(0.5, 'fraction of the views that are distorted'),
  teacher: field(
    '',
    'weights of a vision transformer whose features the image tower also learns to predict (distillation)',
  ),
  teacherLayers: field(
    '4,8,12',
    "the teacher's blocks, each pooled as class token, mean and standard deviation",
  ),
  contrastive: field(1, 'weight of the contrastive loss', { whole: false }),
  distillation: field(1, 'weight of the distillation loss', { whole: false }),
  quality: field(1, 'weight of the quality-word loss (needs scores)', { whole: false }),
  epochs: field(4, 'passes over all views', { max: 1e6 }),
  batchSize: field(64, 'pairs per step, all contrasted with one another'),
  chunkSize: field(
    64,
    'pairs per pass through the towers; less than the batch: features are cached and gradients stay exact',
  ),
  lr: field(1e-3, 'peak learning rate'),
  warmup: field(0.1, 'fraction of the steps over which the rate rises'),
  weightDecay: field(0.05, 'decoupled weight decay (matrices only)'),
  clipNorm: field(1, 'largest global norm of the gradients', { whole: false }),
  seed: field(1, 'seed of initialization, views and shuffling', { max: Number.MAX_SAFE_INTEGER }),
  cache: field(
    '',
    "folder of the cache of the teacher's features; empty: in the user cache folder; none: no cache",
  ),
  encodeBatch: field(encodeBatch, 'batch size of the teacher'),
  checkpointEvery: field(100, 'steps between checkpoints'),
  tune: tuneField,
  out: field('', 'folder for the results; empty: output/pretrain/DATA/seedN'),
} as const;

export type PretrainingSettings = FieldValues<typeof pretrainingFields>;
