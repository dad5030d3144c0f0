import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { UserError } from '../../common/errors.ts';
import { limit } from '../../common/limits.ts';
import { readWhole } from '../../common/read-file.ts';
import { decodeImage, type RgbImage } from './decode.ts';
import { type DistortionDraw, distort } from './distort.ts';
import { cropTransform, drawCrop, testTransform } from './transforms.ts';

/** An image file to be made ready for the network, and how: plain data, so that it can go to another thread. */
export interface ImageJob {
  readonly path: string;
  /** Side of the square result in pixels. */
  readonly size: number;
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
      };
  /** Spoils the result. */
  readonly distortion?: DistortionDraw;
}

/** The pixels, RGB row by row, size·size·3, and the SHA-256 (hex) of the file's bytes; or why there are none. */
export type PreparedImage =
  | { readonly pixels: Uint8Array; readonly hash: string }
  | { readonly error: string };

/** Resolves once so many pixels may be decoded; see {@link PixelBudget}. Asked at most once an image. */
export type Admission = (pixels: number) => Promise<void>;

/** Files up to this size are read before their image is admitted: their header says how large it is. */
const smallFile = 2 ** 24;

/** SHA-256 (hex) of an image file's bytes. */
export async function hashImage(path: string): Promise<string> {
  return hashBytes(await readWhole(path, 'imageBytes'));
}

/**
 * Reads, decodes, crops and resizes one image. What is wrong with the image comes back as `error`; bugs are thrown.
 *
 * @param admit holds the image back until there is memory for it
 */
export async function prepareImage(job: ImageJob, admit: Admission = async () => {}): Promise<PreparedImage> {
  try {
    const found = await stat(job.path).catch(() => null);
    // The bytes of a large file count as well, and nothing may wait while it holds memory that another waits for.
    const large = found !== null && found.size > smallFile;
    if (large) await admit(limit('pixelsAtOnce'));
    const bytes = await readWhole(job.path, 'imageBytes');
    const image = await decodeImage(bytes, job.path, large ? undefined : admit);
    const pixels = transformImage(image, job);
    const { distortion, size } = job;
    return { pixels: distortion ? await distort(pixels, size, distortion) : pixels, hash: hashBytes(bytes) };
  } catch (error) {
    if (error instanceof UserError) return { error: error.message };
    throw error;
  }
}

function hashBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function transformImage(image: RgbImage, { path, size, transform }: ImageJob): Uint8Array {
  if (transform.kind === 'test') return testTransform(image, size);
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
