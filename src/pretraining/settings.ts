import { type FieldValues, field } from '../common/fields.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { tuneField } from '../training/settings.ts';

/**
 * Every setting of contrastive pre-training: CLIP's recipe in small, with distortions and, on request, a teacher.
 */
export const pretrainingFields = {
  data: field(
    'agiqa-3k',
    'labeled dataset whose training part is learned: agiqa-3k, aigciqa2023, agin, aigcqa, csv or scenes',
  ),
  root: field('', 'folder of the dataset'),
  pairs: field(
    '',
    'instead of a dataset: a CSV of images and captions, or a folder of images with captions in .txt files or class sub-folders',
  ),
  imageColumn: field('image', 'with --pairs FILE.csv: column of the image names'),
  captionColumn: field('caption', 'with --pairs FILE.csv: column of the captions'),
  limit: field(0, 'use only so many images; 0: all'),
  caption: field(
    '{quality} quality picture of {text}{damage}',
    'caption of a view, several parted by |; {text}, {quality} (a word by the MOS and the damage), {damage}, {generator}',
  ),
  imageSize: field(224, 'side of an image in pixels'),
  patchSize: field(16, 'side of a patch in pixels'),
  visionWidth: field(128, 'width of the image tower (64 a head)'),
  visionLayers: field(6, 'blocks of the image tower'),
  start: field(
    'spectral',
    'how the image tower begins: as statistics of local spectra, or random, as CLIP did',
    ['spectral', 'random'],
  ),
  textWidth: field(64, 'width of the text tower (64 a head)'),
  textLayers: field(3, 'blocks of the text tower'),
  embedding: field(128, 'width of the space both towers end in'),
  views: field(6, 'views (crop, flip, distortion) drawn of each image'),
  minArea: field(0.5, 'smallest area of a crop, as a share of the image'),
  distorted: field(0.5, 'share of the views that are spoiled'),
  teacher: field('', 'weights of a vision transformer whose features the image tower also learns to predict'),
  teacherLayers: field('4,8,12', "the teacher's blocks, pooled as class token, mean and standard deviation"),
  contrastive: field(1, 'weight of the contrastive loss', { whole: false }),
  distillation: field(1, 'weight of the distillation loss', { whole: false }),
  quality: field(1, 'weight of the quality-word loss (needs scores)', { whole: false }),
  epochs: field(4, 'passes over all views', { max: 1e6 }),
  batchSize: field(64, 'pairs contrasted with one another in a step'),
  chunkSize: field(
    64,
    'pairs that go through the towers at once; fewer than the batch: features are cached, gradients stay exact',
  ),
  lr: field(1e-3, 'peak learning rate'),
  warmup: field(0.1, 'share of the steps in which the rate rises'),
  weightDecay: field(0.05, 'decoupled weight decay of matrices'),
  clipNorm: field(1, 'largest norm of all gradients together', { whole: false }),
  seed: field(1, 'seed of the initial weights, views and order', { max: Number.MAX_SAFE_INTEGER }),
  cache: field(
    '',
    "folder of the cache of the teacher's features; empty: one in the user cache folder; none: no cache",
  ),
  encodeBatch: field(encodeBatch, 'images the teacher takes at once'),
  checkpointEvery: field(100, 'steps between checkpoints'),
  tune: tuneField,
  out: field('', 'folder of the results; empty: output/pretrain/DATA/seedN'),
} as const;

export type PretrainingSettings = FieldValues<typeof pretrainingFields>;
