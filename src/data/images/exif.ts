import type { RgbImage } from './decode.ts';

const orientationTag = 0x0112;
const shortType = 3;

/** The orientation in EXIF's TIFF structure (Exif 2.32, 4.6), 1 to 8; 1 where it says none. */
export function exifOrientation(exif: Uint8Array): number {
  const start = String.fromCharCode(...exif.subarray(0, 6)) === 'Exif\0\0' ? 6 : 0;
  const view = new DataView(exif.buffer, exif.byteOffset + start, exif.byteLength - start);
  if (view.byteLength < 10) return 1;
  const mark = view.getUint16(0);
  const little = mark === 0x4949;
  if (!little && mark !== 0x4d4d) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > view.byteLength) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0, at = directory + 2; i < entries && at + 12 <= view.byteLength; i++, at += 12) {
    if (view.getUint16(at, little) !== orientationTag || view.getUint16(at + 2, little) !== shortType)
      continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** An image turned as its EXIF orientation says. */
export function orient(image: RgbImage, orientation: number): RgbImage {
  if (orientation === 1) return image;
  const { width, height, data } = image;
  const turned = orientation >= 5;
  const [newWidth, newHeight] = turned ? [height, width] : [width, height];
  const right = [2, 3, 7, 8].includes(orientation);
  const bottom = [3, 4, 6, 7].includes(orientation);
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < newHeight; y++)
    for (let x = 0; x < newWidth; x++, to += 3) {
      // Where the pixel comes from: mirrored along the image's own axes, after the two are exchanged.
      const [u, v] = turned ? [y, x] : [x, y];
      const from = 3 * ((bottom ? height - 1 - v : v) * width + (right ? width - 1 - u : u));
      out[to] = data[from]!;
      out[to + 1] = data[from + 1]!;
      out[to + 2] = data[from + 2]!;
    }
  return { width: newWidth, height: newHeight, data: out };
}
