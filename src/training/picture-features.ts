import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { FeatureCache } from '../data/feature-cache.ts';
import { type LoadedPicture, type PictureJob, PictureLoader } from '../data/loader.ts';
import { hashPicture } from '../data/picture.ts';
import type { Gpu } from '../kernels/gpu.ts';
import type { VisionTransformer } from '../model/vit.ts';

/** Turns picture patches into features [B, width]: the tower's projected feature, or pooled block outputs. */
export interface PictureEncoder {
  readonly width: number;
  /** Names the computation in cache keys: two encoders of one name give the same features. */
  readonly id: string;
  encode(patches: Tensor): Tensor;
}

export interface EncodedPicture {
  readonly index: number;
  readonly feature: Float32Array;
}

export interface UnreadablePicture {
  readonly index: number;
  readonly path: string;
  readonly error: string;
}

/** Pictures looked up in the cache at once. */
const stretch = 256;

/** Features of pictures: decoded ahead in workers, encoded in batches, remembered on disk if there is a cache. */
export class PictureFeatures {
  readonly gpu: Gpu;
  readonly encoder: PictureEncoder;
  readonly #vision: VisionTransformer;
  readonly #batch: number;
  readonly #cache: FeatureCache | null;
  readonly #loader: PictureLoader;
  readonly #pixels: Uint8Array;
  /** Pictures that went through the tower, those the cache spared it, and milliseconds it waited for the next picture. */
  readonly counters = { encoded: 0, cached: 0, waited: 0 };

  constructor(
    gpu: Gpu,
    vision: VisionTransformer,
    encoder: PictureEncoder,
    options: { readonly batch: number; readonly cache: FeatureCache | null },
  ) {
    this.gpu = gpu;
    this.encoder = encoder;
    this.#vision = vision;
    this.#batch = options.batch;
    this.#cache = options.cache;
    this.#loader = new PictureLoader({ ahead: Math.max(16, 2 * options.batch) });
    this.#pixels = new Uint8Array(options.batch * vision.config.imageSize ** 2 * 3);
  }

  get imageSize(): number {
    return this.#vision.config.imageSize;
  }

  /** Yields one result a job, in their order, but with a cache the known ones of each stretch of jobs first; `index` is the job's place in `jobs`. */
  async *encode(jobs: readonly PictureJob[]): AsyncIterable<EncodedPicture | UnreadablePicture> {
    if (!this.#cache) {
      yield* this.#encodeFresh(jobs, jobs.keys(), null);
      return;
    }
    for (let from = 0; from < jobs.length; from += stretch) {
      const part = jobs.slice(from, from + stretch);
      const keys = await this.#keys(part);
      const known = await this.#cache.get(keys);
      const missing: number[] = [];
      for (const [i, feature] of known.entries()) {
        if (!feature) {
          missing.push(from + i);
          continue;
        }
        this.counters.cached++;
        yield { index: from + i, feature };
      }
      const fresh = missing.map((index) => jobs[index]!);
      yield* this.#encodeFresh(fresh, missing, (index) => keys[index - from]!);
      await this.#cache.flush();
    }
  }

  async *#encodeFresh(
    jobs: readonly PictureJob[],
    places: Iterable<number>,
    key: ((index: number) => string) | null,
  ): AsyncIterable<EncodedPicture | UnreadablePicture> {
    const indices = [...places];
    const bytes = this.imageSize ** 2 * 3;
    let waiting: number[] = [];
    let failed: UnreadablePicture[] = []; // until the batch before them has run
    for await (const loaded of this.#load(jobs)) {
      const index = indices[loaded.index]!;
      if ('error' in loaded) {
        const unreadable = { index, path: loaded.path, error: loaded.error };
        if (waiting.length > 0) failed.push(unreadable);
        else yield unreadable;
        continue;
      }
      this.#pixels.set(loaded.pixels, waiting.length * bytes);
      waiting.push(index);
      if (waiting.length < this.#batch) continue;
      yield* inOrder(await this.#run(waiting, key), failed);
      waiting = [];
      failed = [];
    }
    yield* inOrder(waiting.length > 0 ? await this.#run(waiting, key) : [], failed);
  }

  /** The pictures as the loader has them ready; counts how long it is waited for. */
  async *#load(jobs: readonly PictureJob[]): AsyncIterable<LoadedPicture> {
    const pictures = this.#loader.load(jobs);
    try {
      for (;;) {
        const asked = performance.now();
        const next = await pictures.next();
        this.counters.waited += performance.now() - asked;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await pictures.return();
    }
  }

  async close(): Promise<void> {
    await this.#loader.close();
    await this.#cache?.close();
  }

  /** A short batch runs as a full one: its shapes are compiled and tuned, and its rows do not mix. */
  async #run(indices: readonly number[], key: ((index: number) => string) | null): Promise<EncodedPicture[]> {
    const { width } = this.encoder;
    const words = new Uint32Array(this.#pixels.buffer, 0, this.#pixels.length / 4);
    const features = scope(() => {
      const pixels = Tensor.from(this.gpu, words, [this.#batch, words.length / this.#batch]);
      return this.encoder.encode(this.#vision.patchesFromBytes(pixels));
    });
    const values = await features.read();
    features.dispose();
    this.counters.encoded += indices.length;
    return indices.map((index, i) => {
      const feature = values.slice(i * width, (i + 1) * width);
      return { index, feature: key ? this.#cache!.put(key(index), feature) : feature };
    });
  }

  async #keys(jobs: readonly PictureJob[]): Promise<string[]> {
    const hashes = new Map<string, Promise<string>>();
    const hash = (path: string) => {
      if (!hashes.has(path)) hashes.set(path, hashOrName(path));
      return hashes.get(path)!;
    };
    return Promise.all(
      jobs.map(
        async ({ path, size, transform, distortion }) =>
          `${this.encoder.id}|${await hash(path)}|${size}|${JSON.stringify(transform)}${distortion ? `|${JSON.stringify(distortion)}` : ''}`,
      ),
    );
  }
}

const inOrder = (encoded: readonly EncodedPicture[], failed: readonly UnreadablePicture[]) =>
  [...encoded, ...failed].sort((a, b) => a.index - b.index);

/** An unreadable file hashes to its own name, and is reported when it is loaded. */
async function hashOrName(path: string): Promise<string> {
  try {
    return await hashPicture(path);
  } catch {
    return `unreadable ${path}`;
  }
}
