import { crc32 } from 'node:zlib';
import sharp from 'sharp';

const [width, height] = [91, 67];

/** Smooth areas and edges, with alpha that is neither 0 nor 255 in places. */
const rgba = Buffer.from(
  Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const box = x > 20 && x < 50 && y > 15 && y < 40;
    return [
      (x * 255) / width,
      (y * 255) / height,
      box ? 240 : (x * y) % 200,
      x < 30 ? 40 : (3 * x) % 256,
    ].map(Math.round);
  }).flat(),
);
const color = () => sharp(rgba, { raw: { width, height, channels: 4 } }).removeAlpha();
const alpha = () => sharp(rgba, { raw: { width, height, channels: 4 } });

/** A chunk behind the header of a PNG. */
function withChunk(png: Buffer, type: string, data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length);
  head.write(type, 4, 'latin1');
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), data])));
  return Buffer.concat([png.subarray(0, 33), head, data, sum, png.subarray(33)]);
}

function gammaOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value * 1e5);
  return bytes;
}

/** A BMP of 24 bits, from the bottom up. */
function bmp(): Buffer {
  const stride = 4 * Math.ceil((3 * width) / 4);
  const file = Buffer.alloc(54 + stride * height);
  file.write('BM');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++)
        file[54 + (height - 1 - y) * stride + 3 * x + c] = rgba[4 * (y * width + x) + 2 - c]!;
  return file;
}

const png = await color().png().toBuffer();

/** All eight orientations, in the format that has them most. */
const turned = Object.fromEntries(
  await Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map(async (orientation) => [
      `rotated-${orientation}.jpg`,
      await color().withMetadata({ orientation }).jpeg().toBuffer(),
    ]),
  ),
) as Record<string, Buffer>;

/** Image files of every kind, made here, by name. */
export const kinds: Readonly<Record<string, Buffer>> = {
  '420.jpg': await color().jpeg({ quality: 80, chromaSubsampling: '4:2:0' }).toBuffer(),
  '444.jpg': await color().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(),
  'progressive.jpg': await color().jpeg({ progressive: true }).toBuffer(),
  'gray.jpg': await color().grayscale().jpeg().toBuffer(),
  'p3-profile.jpg': await color().withIccProfile('p3').jpeg().toBuffer(),
  ...turned,
  'cmyk.jpg': await color().toColourspace('cmyk').jpeg().toBuffer(),
  'color.png': png,
  'alpha.png': await alpha().png().toBuffer(),
  'palette.png': await color().png({ palette: true, colors: 64 }).toBuffer(),
  'gray.png': await color().grayscale().png().toBuffer(),
  'sixteen.png': await color().toColourspace('rgb16').png().toBuffer(),
  'gamma.png': withChunk(png, 'gAMA', gammaOf(1)),
  'p3-profile.png': await color().withIccProfile('p3').png().toBuffer(),
  'rotated.png': await color().withMetadata({ orientation: 6 }).png().toBuffer(),
  'lossy.webp': await color().webp({ quality: 70 }).toBuffer(),
  'lossless.webp': await color().webp({ lossless: true }).toBuffer(),
  'alpha.webp': await alpha()
    .webp({ lossless: true, exact: true } as never)
    .toBuffer(),
  'rotated.webp': await color().withMetadata({ orientation: 6 }).webp().toBuffer(),
  'color.gif': await color().gif().toBuffer(),
  'alpha.gif': await alpha().gif().toBuffer(),
  'color.bmp': bmp(),
  'color.avif': await color().avif().toBuffer(),
  'color.tiff': await color().tiff().toBuffer(),
};
