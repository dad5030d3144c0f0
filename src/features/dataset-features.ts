import type { Reporter } from '../common/reporter.ts';
import type { Dataset } from '../data/datasets/index.ts';
import type { ImageJob } from '../data/images/loader.ts';
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
  /** Images that could not be decoded, by sample. */
  readonly unreadable: ReadonlyMap<number, UnreadableImage>;
}

/** What of a run's settings decides which crops are encoded. */
export interface CropPlan {
  readonly augment: 'crop' | 'none';
  /** Crops of each training image drawn before training; 0: a new one every step. */
  readonly views: number;
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
 * Encodes what a run needs before it starts: the center crops of `centered` samples and, unless crops are drawn anew
 * each step (`views` 0) or not at all (`augment` none), the pre-drawn crops of `trained` ones. View v is the crop that
 * epoch v of an uncached run draws.
 */
export async function encodeDataset(
  images: ImageEncoder,
  dataset: Dataset,
  parts: { readonly trained: Int32Array; readonly centered: Int32Array },
  settings: CropPlan,
  { reporter, signal, soFar = new EncodedSoFar() }: EncodingOptions,
): Promise<DatasetFeatures> {
  const { width } = images.encoder;
  const { unreadable } = soFar;
  const encode = async (label: string, samples: Int32Array, transforms: ImageJob['transform'][][]) => {
    const views = transforms[0]?.length ?? 0;
    const jobs = [...samples].flatMap((sample, i) =>
      transforms[i]!.map((transform) => ({
        path: dataset.samples[sample]!.path,
        size: images.imageSize,
        transform,
      })),
    );
    const { done, rows } = soFar.part(label);
    const waiting = [...jobs.keys()].filter((job) => !done.has(job));
    const bar = reporter.bar(label, waiting.length);
    try {
      for await (const result of images.encode(waiting.map((job) => jobs[job]!))) {
        signal?.throwIfAborted();
        const job = waiting[result.index]!;
        const sample = samples[Math.floor(job / views)]!;
        if ('error' in result) unreadable.set(sample, result);
        else {
          let row = rows.get(sample);
          if (!row) rows.set(sample, (row = new Float32Array(views * width)));
          row.set(result.feature, (job % views) * width);
        }
        done.add(job);
        bar.advance();
      }
    } finally {
      bar.stop();
    }
    return new StoredFeatures(width, views, rows);
  };

  const views = Math.min(settings.views, Math.max(1, settings.epochs));
  // Without stored crops the training images are still decoded once, so that a bad one is known before training.
  const stored = settings.augment === 'crop' && settings.views > 0;
  const centered = !stored ? Int32Array.from([...parts.centered, ...parts.trained]) : parts.centered;
  const test = await encode(
    'encoding center crops',
    centered,
    Array.from(centered, () => [{ kind: 'test' as const }]),
  );
  if (settings.augment === 'none') return { train: test, test, known: test, unreadable };
  if (settings.views === 0) {
    const online = new OnlineFeatures(images, dataset.samples, settings.seed);
    return { train: online, test, known: test, unreadable };
  }
  const train = await encode(
    `encoding ${views} random crop${views === 1 ? '' : 's'} per training image`,
    parts.trained,
    Array.from(parts.trained, (sample) =>
      Array.from({ length: views }, (_, epoch) => ({
        kind: 'crop' as const,
        seed: settings.seed,
        epoch,
        index: sample,
      })),
    ),
  );
  return { train, test, known: train, unreadable };
}
