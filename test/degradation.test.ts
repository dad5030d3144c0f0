import sharp from 'sharp';
import { beforeAll, expect, it } from 'vitest';
import { decodeImage } from '../src/data/images/decode.ts';
import { distort, distortionNames } from '../src/data/images/distort.ts';
import { prepareFile, prepareImage } from '../src/data/images/prepare.ts';
import { nativeCrop, testTransform } from '../src/data/images/transforms.ts';

/** Not square, so that rows and columns cannot be taken for each other. */
const [width, height] = [50, 36];
let bytes: Uint8Array;

beforeAll(async () => {
  const data = Buffer.alloc(width * height * 3, 0).map((_, i) => (i * 37 + (i >> 5) * 11) % 256);
  bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
});

it.each(distortionNames)('%s keeps the size of an image that is not square', async (name) => {
  const image = await decodeImage(bytes, 'image');
  const distorted = await distort(image, { name, severity: 0.5, seed: 3 });
  expect([distorted.width, distorted.height, distorted.data.length]).toEqual([
    width,
    height,
    image.data.length,
  ]);
  expect(distorted.data).not.toEqual(image.data);
});

it('a degraded image is distorted before anything is cut out of it, each of several by its own draw', async () => {
  const image = await decodeImage(bytes, 'image');
  const draws = [
    { name: 'noise', severity: 0.2, seed: 1 },
    { name: 'blur', severity: -0.2, seed: 2 },
  ];
  const native = { kind: 'native', x: 1, y: 0 } as const;
  const [first, second] = draws.map((degradation) => ({
    path: 'image',
    image: bytes,
    size: 16,
    degradation,
  }));
  const prepared = await prepareFile([
    { ...first!, transform: { kind: 'test' } },
    { ...first!, transform: native },
    { ...second!, transform: native },
    { path: 'image', image: bytes, size: 16, transform: native },
  ]);
  const [noisy, blurred] = await Promise.all(draws.map((draw) => distort(image, draw)));
  expect(prepared).toEqual([
    { pixels: testTransform(noisy!, 16) },
    { pixels: nativeCrop(noisy!, native, 16) },
    { pixels: nativeCrop(blurred!, native, 16) },
    { pixels: nativeCrop(image, native, 16) },
  ]);
});

it('a milder severity than 0 changes less', async () => {
  const image = await decodeImage(bytes, 'image');
  const change = async (name: string, severity: number) => {
    const { data } = await distort(image, { name, severity, seed: 5 });
    return data.reduce((sum, value, i) => sum + Math.abs(value - image.data[i]!), 0);
  };
  for (const name of ['jpeg', 'blur', 'noise'])
    expect(await change(name, -0.25)).toBeLessThan(await change(name, 0.1));
});

it('a distortion that there is not is a bug, not an unreadable image', async () => {
  const degradation = { name: 'haze', severity: 0, seed: 0 };
  await expect(
    prepareImage({ path: 'image', image: bytes, size: 16, transform: { kind: 'test' }, degradation }),
  ).rejects.toThrow(/haze/);
});
