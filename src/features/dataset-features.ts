import type { Reporter } from '../common/reporter.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { degradationsOf } from '../data/images/degradations.ts';
import type { ImageJob } from '../data/images/loader.ts';
import { cropTransforms, joinCrops, joinedWidth } from './crops.ts';
import type { FeatureSource } from './feature-source.ts';
import { StoredFeatures } from './feature-source.ts';
import type { ImageEncoder, UnreadableImage } from './image-encoder.ts';
import { OnlineFeatures } from './online-features.ts';

/** The features of a dataset's parts, and the images that have none. */
export interface DatasetFeatures {
  readonly train: FeatureSource;
  /** Center crops of every sample that was asked for. */
  readonly test: FeatureSource;
  /** What is known of the training images before training: their pre-drawn crops, else their center crops. */
  readonly known: StoredFeatures;
  /** Of the degraded versions of each training image, one behind the other, where they are asked for. */
  readonly degraded?: StoredFeatures | undefined;
  /** Images that could not be decoded, by sample. */
  readonly unreadable: ReadonlyMap<number, UnreadableImage>;
}

/** What of a run's settings decides which crops are encoded. */
export interface CropPlan {
  readonly augment: 'crop' | 'none';
  /** Crops of each training image drawn before training; 0: a new one every step. */
  readonly views: number;
  /** Native crops beside the center crop of each image. */
  readonly crops: number;
  /** Degraded versions of each training image; they are taken of center crops alone. */
  readonly versions: number;
  readonly epochs: number;
  readonly seed: number;
}

export interface EncodingOptions {
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Where to go on, and where what is encoded is kept. */
  readonly soFar?: EncodedSoFar;
}

/** What of a dataset has been encoded so far: kept on the host, so that a lost device loses none of it. */
export class EncodedSoFar {
  /** By what is encoded: the numbers of the jobs that are done, and rows by sample. */
  readonly #parts = new Map<
    string,
    { readonly done: Set<number>; readonly rows: Map<number, Float32Array> }
  >();
  readonly unreadable = new Map<number, UnreadableImage>();

  part(label: string) {
    let part = this.#parts.get(label);
    if (!part) this.#parts.set(label, (part = { done: new Set(), rows: new Map() }));
    return part;
  }

  /** Crops done, over all parts. */
  get count(): number {
    let count = 0;
    for (const { done } of this.#parts.values()) count += done.size;
    return count;
  }
}

/**
 * Encodes what a run needs before it starts: the center crops of `centered` samples and, unless every step draws new crops
 * each step (`views` 0) or not at all (`augment` none), the pre-drawn crops of `trained` ones. View v is the crop that
 * epoch v of an uncached run draws.
 */
export async function encodeDataset(
  images: ImageEncoder,
  dataset: Dataset,
  { trained, centered }: { readonly trained: Int32Array; readonly centered: Int32Array },
  { augment, views: wanted, crops, versions, epochs, seed }: CropPlan,
  { reporter, signal, soFar = new EncodedSoFar() }: EncodingOptions,
): Promise<DatasetFeatures> {
  const options = { reporter, signal, soFar };
  const { unreadable } = soFar;
  // Without stored crops the training images are still decoded once, so that a bad one is known before training.
  const stored = augment === 'crop' && wanted > 0;
  const transforms = cropTransforms(crops);
  const { width } = images.encoder;
  const encoded = await encodeCrops(images, dataset, options, {
    label: crops > 0 ? `encoding center crops and ${crops} native crops` : 'encoding center crops',
    // Folds train on what others test with; each image is encoded once.
    samples: stored ? centered : Int32Array.from(new Set([...centered, ...trained])),
    views: transforms.length,
    job: (_, view) => ({ transform: transforms[view]! }),
  });
  for (const [sample, row] of encoded) encoded.set(sample, joinCrops(row, width));
  const test = new StoredFeatures(joinedWidth(width, crops), 1, encoded);
  if (augment === 'none') {
    const degraded = await encodeVersions(images, dataset, options, { samples: trained, crops, versions });
    return { train: test, test, known: test, degraded, unreadable };
  }
  if (!stored) {
    const online = new OnlineFeatures(images, dataset.samples, seed);
    return { train: online, test, known: test, unreadable };
  }
  const views = Math.min(wanted, Math.max(1, epochs));
  const rows = await encodeCrops(images, dataset, options, {
    label: `encoding ${views} random crop${views === 1 ? '' : 's'} per training image`,
    samples: trained,
    views,
    job: (sample, epoch) => ({ transform: { kind: 'crop', seed, epoch, index: sample } }),
  });
  const train = new StoredFeatures(width, views, rows);
  return { train, test, known: train, unreadable };
}

/** The features of images' degraded versions, each with its native crops as the image's own have. */
async function encodeVersions(
  images: ImageEncoder,
  dataset: Dataset,
  options: Required<EncodingOptions>,
  { samples, crops, versions }: { samples: Int32Array; crops: number; versions: number },
): Promise<StoredFeatures | undefined> {
  if (versions === 0) return undefined;
  const transforms = cropTransforms(crops);
  const each = transforms.length;
  const rows = await encodeCrops(images, dataset, options, {
    label: `encoding ${versions} degraded version${versions === 1 ? '' : 's'} of each training image`,
    samples,
    views: versions * each,
    job: (sample, view) => ({
      transform: transforms[view % each]!,
      degradation: degradationsOf(sample, versions)[Math.floor(view / each)]!,
    }),
  });
  const { width } = images.encoder;
  const joined = joinedWidth(width, crops);
  for (const [sample, row] of rows) {
    const all = new Float32Array(versions * joined);
    for (let version = 0; version < versions; version++) {
      const own = row.subarray(version * each * width, (version + 1) * each * width);
      all.set(joinCrops(own, width), version * joined);
    }
    rows.set(sample, all);
  }
  return new StoredFeatures(versions * joined, 1, rows);
}

/** Some crops of each of some samples. */
interface Crops {
  /** For the progress bar, and by which they are known if they have to be gone on with. */
  readonly label: string;
  readonly samples: Int32Array;
  /** Crops of each sample. */
  readonly views: number;
  job(sample: number, view: number): Pick<ImageJob, 'transform' | 'degradation'>;
}

async function encodeCrops(
  images: ImageEncoder,
  dataset: Dataset,
  { reporter, signal, soFar }: Required<EncodingOptions>,
  { label, samples, views, job }: Crops,
): Promise<Map<number, Float32Array>> {
  const { width } = images.encoder;
  const { done, rows } = soFar.part(label);
  const jobs = Array.from(samples, (sample) =>
    Array.from({ length: views }, (_, view) => ({ sample, view, job: job(sample, view) })),
  ).flat();
  const waiting = [...jobs.entries()].filter(([at]) => !done.has(at));
  const bar = reporter.bar(label, waiting.length);
  const imageJobs = waiting.map(([, { sample, job: cut }]) => ({
    path: dataset.samples[sample]!.path,
    size: images.imageSize,
    ...cut,
  }));
  try {
    for await (const result of images.encode(imageJobs)) {
      signal?.throwIfAborted();
      const [at, { sample, view }] = waiting[result.index]!;
      if ('error' in result) soFar.unreadable.set(sample, result);
      else {
        let row = rows.get(sample);
        if (!row) rows.set(sample, (row = new Float32Array(views * width)));
        row.set(result.feature, view * width);
      }
      done.add(at);
      bar.advance();
    }
  } finally {
    bar.stop();
  }
  return new Map(rows);
}
