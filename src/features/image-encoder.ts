import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { findNonFinite } from '../data/formats/finite.ts';
import { decoderId } from '../data/images/decode.ts';
import {
  defaultThreads,
  type ImageJob,
  ImageLoader,
  type LoadedImage,
  type UnwantedImage,
} from '../data/images/loader.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { numericsId } from '../kernels/device/numerics.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { defaultTuneChoice, type TuneChoice, tune, tunes } from '../kernels/device/tuning.ts';
import type { VisionTransformer } from '../model/vit.ts';
import { checkFeature } from './check-feature.ts';
import { DeviceTime, type EncodeTimes } from './encode-times.ts';
import type { FeatureCache } from './feature-cache.ts';
import { OnDevice } from './on-device.ts';

/** Turns image patches into features [B, width]: the tower's projected feature, or pooled block outputs. */
export interface FeatureExtractor {
  readonly width: number;
  /** Names the computation in cache keys: two encoders of one name give the same features. */
  readonly id: string;
  encode(patches: Tensor): Tensor;
  /** What one of its numbers is, for errors. By default a number of the feature. */
  describe?(at: number): string;
}

export interface EncodedImage {
  readonly index: number;
  readonly feature: Float32Array;
}

export interface UnreadableImage {
  readonly index: number;
  readonly path: string;
  readonly error: string;
}

/** The image tower and what is made of its patches, on a device. */
export interface ImageTower {
  readonly vision: VisionTransformer;
  readonly encoder: FeatureExtractor;
}

export interface ImageEncoderOptions {
  /** Images the tower takes at once; a batch that is not full is filled up. */
  readonly batch: number;
  readonly cache: FeatureCache | null;
  /** Makes the tower again on the device that was opened in place of a lost one. Without it the loss ends the work. */
  readonly reopen?: (gpu: Gpu) => Promise<ImageTower>;
  /** Whether to time the variants of the tower's kernels before the first image; by default as the environment says. */
  readonly tune?: TuneChoice;
}

/** Features read from the cache, or written to it, at once. */
const lookupBatch = 256;

/** Whether an image of a file with this hash is to be encoded. */
type Wanted = (job: ImageJob, hash: string) => boolean;

/** An image of a batch. */
interface Member {
  readonly index: number;
  readonly job: ImageJob;
  /** Of the bytes that were decoded, where there is a cache. */
  readonly hash: string | undefined;
}

/** A feature that the cache has. */
interface Known {
  readonly index: number;
  readonly key: string;
}

/**
 * Features of images: decoded ahead in workers, encoded in batches, remembered on disk if there is a cache. Every batch has
 * the same shape, so an image's feature has the same bits whatever it is encoded with.
 */
export class ImageEncoder {
  readonly gpu: Gpu;
  readonly encoder: FeatureExtractor;
  readonly imageSize: number;
  readonly #tower: OnDevice<ImageTower>;
  readonly #recovers: boolean;
  readonly #batch: number;
  readonly #cache: FeatureCache | null;
  readonly #loader: ImageLoader;
  #numerics = '';
  readonly #tune: TuneChoice;
  #tuned: Promise<void> | undefined;
  /** Images that went through the tower, those the cache spared it, and milliseconds the device had nothing to do until the next image. */
  readonly counters = { encoded: 0, cached: 0, waited: 0 };
  readonly #device = new DeviceTime();

  constructor(
    gpu: Gpu,
    vision: VisionTransformer,
    encoder: FeatureExtractor,
    { batch, cache, reopen, tune = defaultTuneChoice() }: ImageEncoderOptions,
  ) {
    this.gpu = gpu;
    this.encoder = encoder;
    this.imageSize = vision.config.imageSize;
    this.#tower = new OnDevice(async (device) =>
      device === gpu || !reopen ? { vision, encoder } : reopen(device),
    );
    this.#recovers = reopen !== undefined;
    this.#batch = batch;
    this.#tune = tune;
    this.#cache = cache;
    this.#loader = new ImageLoader({ ahead: Math.max(16, 2 * batch, 3 * defaultThreads()) });
  }

  /**
   * Yields one result a job, in the order of the jobs; `index` is the job's place in `jobs`. A file is read once, and hashed once
   * where there is a cache. Several may run at a time.
   */
  async *encode(jobs: readonly ImageJob[]): AsyncIterable<EncodedImage | UnreadableImage> {
    // Before the first image, and before the cache is asked: what is measured decides a feature's last bits.
    await (this.#tuned ??= this.#measure());
    const cache = this.#cache;
    const all = [...jobs.keys()];
    if (!cache) {
      yield* this.#pass(jobs, all);
      return;
    }
    this.#numerics = numericsId(this.gpu);
    yield* this.#pass(jobs, all, (job, hash) => !cache.has(this.#keyOf(job, hash)));
    await cache.flush();
  }

  /** Has the variants of the tower's kernels timed on a batch of nothing, where that is asked for. */
  async #measure(): Promise<void> {
    if (!tunes(this.gpu, this.#tune)) return;
    await this.#encode(new Uint8Array(this.#batch * this.imageSize ** 2 * 3));
    await tune(this.gpu.latest);
  }

  /** Encodes the jobs of these indices. Those that are not wanted are looked up with the batch among which they stand. */
  async *#pass(
    jobs: readonly ImageJob[],
    indices: readonly number[],
    wanted?: Wanted,
  ): AsyncGenerator<EncodedImage | UnreadableImage, void, undefined> {
    const bytes = this.imageSize ** 2 * 3;
    const buffers = [0, 1].map(() => new Uint8Array(this.#batch * bytes)) as [Uint8Array, Uint8Array];
    let waiting: Member[] = [];
    let failed: UnreadableImage[] = [];
    let known: Known[] = [];
    /** What has been begun and not been given away: one batch computes while the next is gathered, and begun before it is read. */
    let begun: Promise<(EncodedImage | UnreadableImage)[]> | undefined;
    const begin = () => {
      const [pixels, members, unreadable, lookups] = [buffers[0], waiting, failed, known];
      buffers.reverse();
      [waiting, failed, known] = [[], [], []];
      const work = Promise.all([
        members.length > 0 ? this.#run(pixels, members) : [],
        lookups.length > 0 ? this.#cached(jobs, lookups) : [],
      ]).then(([encoded, cached]) =>
        [...encoded, ...unreadable, ...cached].sort((a, b) => a.index - b.index),
      );
      work.catch(() => {}); // thrown where it is waited for
      return work;
    };
    /** Begins what is gathered, and gives what was begun before it. */
    const advance = async () => {
      const before = begun;
      begun = begin();
      return (await before) ?? [];
    };
    const chosen = indices.map((index) => jobs[index]!);
    try {
      for await (const loaded of this.#load(chosen, wanted)) {
        const index = indices[loaded.index]!;
        const job = chosen[loaded.index]!;
        if ('error' in loaded) failed.push({ index, path: loaded.path, error: loaded.error });
        else if ('known' in loaded) known.push({ index, key: this.#keyOf(job, loaded.known) });
        else {
          buffers[0].set(loaded.pixels, waiting.length * bytes);
          waiting.push({ index, job, hash: loaded.hash });
        }
        const ready =
          waiting.length === this.#batch ||
          known.length === lookupBatch ||
          // Nothing is ahead of it that a batch has to be filled for.
          (failed.length > 0 && waiting.length + known.length === 0);
        if (ready) yield* await advance();
      }
      yield* await advance();
      yield* (await begun) ?? [];
    } finally {
      // Whoever takes no more results may close what these compute with.
      await begun?.catch(() => {});
    }
  }

  /** The images as the loader has them ready; counts how long it is waited for. */
  async *#load(
    jobs: readonly ImageJob[],
    wanted: Wanted | undefined,
  ): AsyncIterable<LoadedImage | UnwantedImage> {
    const images = this.#loader.load(jobs, wanted);
    try {
      for (;;) {
        const asked = performance.now();
        const next = await images.next();
        this.counters.waited += this.#device.idleSince(asked);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await images.return();
    }
  }

  get times(): EncodeTimes {
    return { ...this.#loader.times, waited: this.counters.waited, computed: this.#device.busy };
  }

  async close(): Promise<void> {
    await this.#loader.close();
    await this.#cache?.close();
  }

  /** Encodes the first images of a batch; what stands behind them does not touch their rows. */
  async #run(pixels: Uint8Array, members: readonly Member[]): Promise<EncodedImage[]> {
    const { width } = this.encoder;
    const values = await this.#device.during(() => this.#encode(pixels));
    this.counters.encoded += members.length;
    const encoded = members.map(({ index, job, hash }, i) => {
      const feature = values.slice(i * width, (i + 1) * width);
      checkFeature(feature, job.path, this.encoder);
      const kept = hash === undefined ? feature : this.#cache?.put(this.#keyOf(job, hash), feature);
      return { index, feature: kept ?? feature };
    });
    if (this.#cache && this.#cache.unwritten >= lookupBatch) await this.#cache.flush();
    return encoded;
  }

  async #encode(pixels: Uint8Array): Promise<Float32Array> {
    const words = new Uint32Array(pixels.buffer, 0, pixels.length / 4);
    const encode = async (gpu: Gpu) => {
      const { vision, encoder } = await this.#tower.on(gpu);
      const features = scope(() => {
        const images = Tensor.from(gpu, words, [this.#batch, words.length / this.#batch]);
        return encoder.encode(vision.patchesFromBytes(images));
      });
      return features.read().finally(() => features.dispose());
    };
    return this.#recovers ? recovering(this.gpu, encode) : encode(this.gpu);
  }

  /** What the cache has of these; where its record turns out to be damaged or gone, or holds NaN, the image is encoded after all. */
  async #cached(
    jobs: readonly ImageJob[],
    known: readonly Known[],
  ): Promise<(EncodedImage | UnreadableImage)[]> {
    const features = (await this.#cache?.get(known.map(({ key }) => key))) ?? [];
    const results: (EncodedImage | UnreadableImage)[] = [];
    const unsound: number[] = [];
    for (const [i, { index }] of known.entries()) {
      const feature = features[i];
      if (feature && !findNonFinite(feature)) results.push({ index, feature });
      else unsound.push(index);
    }
    this.counters.cached += results.length;
    if (unsound.length > 0)
      for await (const result of this.#pass(jobs, unsound, () => true)) results.push(result);
    return results;
  }

  /** Holds everything that the feature depends on. */
  #keyOf({ size, autoOrient, transform, distortion, degradation }: ImageJob, hash: string): string {
    return JSON.stringify([
      this.encoder.id,
      this.#batch,
      this.#numerics,
      decoderId,
      hash,
      size,
      transform,
      distortion ?? null,
      ...(autoOrient ? ['upright'] : []),
      ...(degradation ? [{ degradation }] : []),
    ]);
  }
}
