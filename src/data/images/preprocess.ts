import { UserError } from '../../common/errors.ts';
import { type ImageInput, openInput } from './input.ts';
import { prepareImage } from './prepare.ts';

/**
 * An image as the models get it: its shorter side resized to `size` (bicubic, antialiased, as Pillow), the center cut out.
 *
 * @param options.size side in pixels, 224 by default; a model's is its vision config's `imageSize`
 * @param options.exif turns it as its EXIF orientation says; by default it is taken as it is stored, as the published code does
 * @returns RGB bytes, row by row, size·size·3; `toNormalizedCHW` makes of them what `Clip.encodeImages` takes
 * @throws UserError if it cannot be read
 */
export async function preprocess(
  input: ImageInput,
  options: { readonly size?: number; readonly exif?: boolean } = {},
): Promise<Uint8Array> {
  const { size = 224, exif = false } = options;
  const { name: _, ...opened } = await openInput(input, 0);
  const image = await prepareImage({ ...opened, size, autoOrient: exif, transform: { kind: 'test' } });
  if ('error' in image)
    throw new UserError(image.error, 'Check that it is a complete JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP.');
  return image.pixels;
}
