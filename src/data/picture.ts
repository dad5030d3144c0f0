import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UserError } from '../common/errors.ts';
import { type DistortionDraw, distort } from './distort.ts';
import { decodeImage, type RgbImage } from './image.ts';
import { cropTransform, drawCrop, testTransform } from './transforms.ts';

/** A picture file to be made ready for the network, and how: plain data, so that it can go to another thread. */
export interface PictureJob {
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
        /** Smallest area of the crop as a share of the picture's; 0.08 as published. */
        readonly minArea?: number;
      }
    /** The box x, y, width, height in the picture's pixels. */
    | {
        readonly kind: 'box';
        readonly box: readonly [number, number, number, number];
        readonly flip: boolean;
      };
  /** Spoils the result. */
  readonly distortion?: DistortionDraw;
}

/** The pixels, RGB row by row, size·size·3, and the SHA-256 (hex) of the file's bytes; or why there are none. */
export type PreparedPicture =
  | { readonly pixels: Uint8Array; readonly hash: string }
  | { readonly error: string };

/** SHA-256 (hex) of a picture file's bytes. */
export async function hashPicture(path: string): Promise<string> {
  return hashBytes(await readPicture(path));
}

/** Reads, decodes, crops and resizes one picture. What is wrong with the picture comes back as `error`; bugs are thrown. */
export async function preparePicture(job: PictureJob): Promise<PreparedPicture> {
  try {
    const bytes = await readPicture(job.path);
    const image = await decodeImage(bytes, job.path);
    const pixels = transformPicture(image, job);
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

async function readPicture(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(`${path}: cannot be read (${code})`, 'Check the path.', { cause: error });
  }
}

function transformPicture(image: RgbImage, { path, size, transform }: PictureJob): Uint8Array {
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
      `${path}: the box ${transform.box.join(', ')} does not lie in its ${image.width}x${image.height} pixels`,
      'Give x, y, width and height in whole pixels.',
    );
  return cropTransform(image, { box: { left, top, width, height }, flip: transform.flip }, size);
}
