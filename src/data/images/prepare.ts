import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { UserError } from '../../common/errors.ts';
import { checkLimit, limit } from '../../common/limits.ts';
import { readWhole } from '../../common/read-file.ts';
import { decodeImage, type RgbImage, rgbOf } from './decode.ts';
import { type DistortionDraw, distort } from './distort.ts';
import type { RawImage } from './input.ts';
import { cropTransform, drawCrop, nativeCrop, testTransform } from './transforms.ts';

/** An image to be made ready for the network, and how: plain data, so that it can go to another thread. */
export interface ImageJob {
  /** Of its file; of an image that is given itself, its name. */
  readonly path: string;
  /** The bytes of an encoded image, or its pixels, where it is in no file. */
  readonly image?: Uint8Array | RawImage;
  /** Side of the square result in pixels. */
  readonly size: number;
  /** Turns the image as its EXIF orientation says; the published code does not. */
  readonly autoOrient?: boolean;
  readonly transform:
    | { readonly kind: 'test' }
    /** Random resized crop and flip, drawn from these three numbers alone. */
    | {
        readonly kind: 'crop';
        readonly seed: number;
        readonly epoch: number;
        readonly index: number;
        /** Smallest area of the crop as a share of the image's; 0.08 as published. */
        readonly minArea?: number;
      }
    /** The box x, y, width, height in the image's pixels. */
    | {
        readonly kind: 'box';
        readonly box: readonly [number, number, number, number];
        readonly flip: boolean;
      }
    /** `size` x `size` pixels as they are, from 0, 0 (top left) to 1, 1 (bottom right); see {@link nativeCrop}. */
    | { readonly kind: 'native'; readonly x: number; readonly y: number };
  /** Distorts the result. */
  readonly distortion?: DistortionDraw;
  /** Distorts the image before anything is cut out of it, as if its file were a distorted one. */
  readonly degradation?: DistortionDraw;
}

/** The pixels, RGB row by row, size·size·3, and the SHA-256 (hex) of the file's bytes where that was asked for; or why there are none. */
export type PreparedImage =
  | { readonly pixels: Uint8Array; readonly hash?: string }
  | { readonly error: string };

/** An image that nobody wants once the hash of its file is known. */
export interface KnownImage {
  readonly known: string;
}

/** Resolves once so many pixels may be decoded; see {@link PixelBudget}. Asked at most once a file. */
export type Admission = (pixels: number) => Promise<void>;

/** Milliseconds that a file took to be read, and to be decoded and made ready. */
export interface PrepareTimes {
  readonly read: number;
  readonly decode: number;
}

export interface PrepareOptions {
  /** Called once, without the time that the file was held back. */
  readonly spent?: ((times: PrepareTimes) => void) | undefined;
  /** Holds the file back until there is memory for it. */
  readonly admit?: Admission;
  /** Which of the jobs are to be done, now that the file's hash is known. Without it nothing is hashed. */
  readonly wanted?: ((hash: string) => Promise<readonly boolean[]>) | undefined;
}

/** Files up to this size are read before their image is admitted: their header says how large it is. */
const smallFile = 2 ** 24;

/** SHA-256 (hex) of an image file's bytes. */
export async function hashImage(path: string): Promise<string> {
  return hashBytes(await readWhole(path, 'imageBytes'));
}

/** As {@link prepareFile}, for one job. */
export async function prepareImage(job: ImageJob): Promise<PreparedImage> {
  const [image] = await prepareFile([job]);
  return image as PreparedImage;
}

/**
 * Reads and decodes one file, once, and crops and resizes it for each of the jobs, which all name it and turn it alike. What is wrong with the
 * image comes back as `error`; bugs are thrown.
 */
export async function prepareFile(
  jobs: readonly [ImageJob, ...ImageJob[]],
  { admit: ask = async () => {}, wanted, spent }: PrepareOptions = {},
): Promise<(PreparedImage | KnownImage)[]> {
  const [{ path, image: given, autoOrient }] = jobs;
  let [heldBack, read] = [0, 0];
  const began = performance.now();
  const waitFor = async <T>(answer: Promise<T>): Promise<T> => {
    const asked = performance.now();
    try {
      return await answer;
    } finally {
      heldBack += performance.now() - asked;
    }
  };
  const admit: Admission = (pixels) => waitFor(ask(pixels));
  try {
    const found = given ? null : await stat(path).catch(() => null);
    // The bytes of a large file count as well, and nothing may wait while it holds memory that another waits for.
    const large = found !== null && found.size > smallFile;
    if (large) await admit(limit('pixelsAtOnce'));
    const reading = performance.now();
    const bytes = given ? bytesOf(given, path) : await readWhole(path, 'imageBytes');
    read = performance.now() - reading;
    const hash = wanted && hashBytes(bytes, given);
    const chosen = hash === undefined || !wanted ? undefined : await waitFor(wanted(hash));
    const isKnown = (i: number) => chosen?.[i] === false;
    if (hash !== undefined && jobs.every((_, i) => isKnown(i))) return jobs.map(() => ({ known: hash }));
    const image =
      given && !(given instanceof Uint8Array)
        ? await rgbOf(given, path, admit)
        : await decodeImage(bytes, path, large ? undefined : admit, { autoOrient });
    const prepared: (PreparedImage | KnownImage)[] = [];
    const degrade = lastOf((draw: DistortionDraw) => distort(image, draw));
    for (const [i, job] of jobs.entries()) {
      if (hash !== undefined && isKnown(i)) prepared.push({ known: hash });
      else prepared.push(await view(job.degradation ? await degrade(job.degradation) : image, job, hash));
    }
    return prepared;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return jobs.map(() => ({ error: error.message }));
  } finally {
    spent?.({ read, decode: performance.now() - began - heldBack - read });
  }
}

/** Keeps the last result: crops of one degraded image follow each other. */
function lastOf<A, T>(make: (given: A) => Promise<T>): (given: A) => Promise<T> {
  let last: { readonly key: string; readonly made: T } | undefined;
  return async (given) => {
    const key = JSON.stringify(given);
    if (last?.key !== key) last = { key, made: await make(given) };
    return last.made;
  };
}

async function view(image: RgbImage, job: ImageJob, hash: string | undefined): Promise<PreparedImage> {
  try {
    const cropped = transformImage(image, job);
    const square = { data: cropped, width: job.size, height: job.size };
    const pixels = job.distortion ? (await distort(square, job.distortion)).data : cropped;
    return { pixels, ...(hash !== undefined && { hash }) };
  } catch (error) {
    if (error instanceof UserError) return { error: error.message };
    throw error;
  }
}

/** Pixels that are given are another image than a file of the same bytes. */
function hashBytes(bytes: Uint8Array, given?: Uint8Array | RawImage): string {
  const hash = createHash('sha256').update(bytes);
  if (given && !(given instanceof Uint8Array))
    hash.update(` ${given.width}x${given.height}x${given.channels} pixels`);
  return hash.digest('hex');
}

function bytesOf(given: Uint8Array | RawImage, name: string): Uint8Array {
  const data = given instanceof Uint8Array ? given : given.data;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray))
    throw new UserError(
      `${name}: its data are not bytes`,
      'Pass the pixels as a Uint8Array, 8 bits a sample.',
    );
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (given instanceof Uint8Array)
    checkLimit('imageBytes', bytes.length, (amount) => `${name}: has ${amount} bytes`);
  return bytes;
}

function transformImage(image: RgbImage, { path, size, transform }: ImageJob): Uint8Array {
  if (transform.kind === 'test') return testTransform(image, size);
  if (transform.kind === 'native') return nativeCrop(image, transform, size);
  if (transform.kind === 'crop') {
    const { seed, epoch, index, minArea } = transform;
    const crop = drawCrop(image.width, image.height, seed, epoch, index, minArea);
    return cropTransform(image, crop, size);
  }
  const [left, top, width, height] = transform.box;
  if (
    !transform.box.every(Number.isInteger) ||
    Math.min(left, top) < 0 ||
    Math.min(width, height) < 1 ||
    left + width > image.width ||
    top + height > image.height
  )
    throw new UserError(
      `${path}: the box ${transform.box.join(', ')} is not within its ${image.width}x${image.height} pixels`,
      'A box is x, y, width and height in whole pixels.',
    );
  return cropTransform(image, { box: { left, top, width, height }, flip: transform.flip }, size);
}
