import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { elementCount } from '../common/shape.ts';
import { openTensorFile } from '../data/formats/tensor-file.ts';
import { type ImageJob, prepareImage } from '../data/images/prepare.ts';
import { figure, missing, type Results } from './figure.ts';

/** JPEG decoders may differ by a level; everything else is exact. */
const jpegShare = 0.001;

/** Decoding, resizing and cropping, byte by byte: `IMAGE/test` and `IMAGE/cropN` of expected.safetensors. */
export async function* checkPreprocess(folder: string): Results {
  const expected = join(folder, 'expected.safetensors');
  if (!existsSync(expected)) {
    yield missing('preprocessing');
    return;
  }
  const reference = await openTensorFile(expected);
  for (const [key, { shape }] of reference.tensors) {
    const [name, kind] = [key.slice(0, key.lastIndexOf('/')), key.slice(key.lastIndexOf('/') + 1)];
    const path = join(folder, name);
    if (!existsSync(path)) {
      yield missing(`preprocessing ${key}`);
      continue;
    }
    const image = await prepareImage({
      path,
      size: shape[0]!,
      transform: transformOf(kind, reference.metadata[key]),
    });
    const differing = 'error' in image ? Number.NaN : differences(image.pixels, await reference.readRaw(key));
    // JPEG: every byte too (same decoder); a build of another libjpeg may differ by one level in a few.
    const tolerance = /\.jpe?g$/i.test(name) ? Math.floor(jpegShare * elementCount(shape)) : 0;
    yield figure(`preprocessing ${key}, differing bytes`, differing, tolerance, 'differences');
  }
  await reference.close();
}

function transformOf(kind: string, crop: string | undefined): ImageJob['transform'] {
  if (kind === 'test' || crop === undefined) return { kind: 'test' };
  const { left, top, width, height, flip } = JSON.parse(crop) as Record<
    'left' | 'top' | 'width' | 'height',
    number
  > & {
    flip: boolean;
  };
  return { kind: 'box', box: [left, top, width, height], flip };
}

/** Bytes that differ; NaN if any differs by more than one level or the sizes do. */
function differences(actual: Uint8Array, expected: Uint8Array): number {
  if (actual.length !== expected.length) return Number.NaN;
  let count = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (difference > 1) return Number.NaN;
    count += difference;
  }
  return count;
}
