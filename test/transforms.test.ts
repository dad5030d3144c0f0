import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../src/data/images/decode.ts';
import type { Box } from '../src/data/images/resize.ts';
import {
  cropTransform,
  drawCrop,
  nativeCrop,
  testTransform,
  toNormalizedCHW,
} from '../src/data/images/transforms.ts';

const folder = new URL('./fixtures/preprocess/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder));
const expected = JSON.parse(read('expected.json').toString()) as Record<
  string,
  { picture: string; box?: Box; flip?: boolean }
>;

describe('test transform and given crops', () => {
  it.each(Object.entries(expected))(
    '%s equals Pillow and torchvision, byte for byte',
    async (file, given) => {
      const image = await decodeImage(read(given.picture), given.picture);
      const pixels = given.box
        ? cropTransform(image, { box: given.box, flip: given.flip! }, 224)
        : testTransform(image, 224);
      const want = await sharp(read(file)).raw().toBuffer();
      let largest = 0;
      for (let i = 0; i < want.length; i++) largest = Math.max(largest, Math.abs(want[i]! - pixels[i]!));
      expect(pixels.length).toBe(want.length);
      expect(largest).toBe(0);
    },
  );
});

describe('nativeCrop', () => {
  /** Of an image in which every byte of a pixel says where it is. */
  const places = (width: number, height: number) => ({
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return [pixel % width, Math.floor(pixel / width), 7][i % 3]!;
    }),
  });
  const corner = (pixels: Uint8Array, at: number) => [...pixels.subarray(3 * at, 3 * at + 3)];

  it('copies pixels as they are, from the corners to the center', () => {
    const image = places(60, 41);
    for (const [x, y, left, top] of [
      [0, 0, 0, 0],
      [1, 1, 28, 9],
      [0.5, 0.5, 14, 5],
      [1, 0, 28, 0],
    ] as const) {
      const pixels = nativeCrop(image, { x, y }, 32);
      expect(pixels.length).toBe(32 * 32 * 3);
      expect([corner(pixels, 0), corner(pixels, 32 * 32 - 1)]).toEqual([
        [left, top, 7],
        [left + 31, top + 31, 7],
      ]);
    }
  });

  it('enlarges the largest square of an image that is smaller', () => {
    const image = places(60, 20);
    const square = { left: 40, top: 0, width: 20, height: 20 };
    expect(nativeCrop(image, { x: 1, y: 0.5 }, 32)).toEqual(
      cropTransform(image, { box: square, flip: false }, 32),
    );
  });
});

describe('drawCrop', () => {
  it('depends on seed, epoch and index alone', () => {
    expect(drawCrop(512, 512, 1, 3, 77)).toEqual(drawCrop(512, 512, 1, 3, 77));
    const others = [drawCrop(512, 512, 2, 3, 77), drawCrop(512, 512, 1, 4, 77), drawCrop(512, 512, 1, 3, 78)];
    for (const other of others) expect(other.box).not.toEqual(drawCrop(512, 512, 1, 3, 77).box);
  });

  it('draws areas of 0.08 to 1 and ratios of 3/4 to 4/3 within the image, flipped half of the time', () => {
    const [width, height] = [640, 480];
    const n = 4000;
    let flips = 0;
    let logRatio = 0;
    let area = 0;
    for (let i = 0; i < n; i++) {
      const { box, flip } = drawCrop(width, height, 5, 0, i);
      expect(box.left >= 0 && box.top >= 0).toBe(true);
      expect(box.left + box.width <= width && box.top + box.height <= height).toBe(true);
      const ratio = box.width / box.height;
      expect(ratio).toBeGreaterThan(0.74);
      expect(ratio).toBeLessThan(1.35);
      const share = (box.width * box.height) / (width * height);
      expect(share).toBeGreaterThan(0.079);
      area += share / n;
      logRatio += Math.log(ratio) / n;
      flips += flip ? 1 : 0;
    }
    expect(Math.abs(flips / n - 0.5)).toBeLessThan(0.04);
    // Means over 200,000 draws of the same rule in Python: what does not fit is drawn again, so wide and small crops gain.
    expect(Math.abs(area - 0.433)).toBeLessThan(0.015);
    expect(Math.abs(logRatio - 0.031)).toBeLessThan(0.01);
  });

  it('falls back to the largest centered crop within the ratios', () => {
    expect(drawCrop(1000, 10, 1, 0, 0).box).toEqual({ left: 493, top: 0, width: 13, height: 10 });
    expect(drawCrop(10, 1001, 1, 0, 0).box).toEqual({ left: 0, top: 494, width: 10, height: 13 });
    expect(drawCrop(1, 1, 1, 0, 0).box).toEqual({ left: 0, top: 0, width: 1, height: 1 });
  });
});

describe('toNormalizedCHW', () => {
  it('gives planes of (byte / 255 − mean) / std, image after image', () => {
    const bytes = Uint8Array.from({ length: 2 * 2 * 2 * 3 }, (_, i) => i * 10);
    const mean = [0.48145466, 0.4578275, 0.40821073];
    const std = [0.26862954, 0.26130258, 0.27577711];
    const planes = toNormalizedCHW(bytes, 2, mean, std);
    for (let image = 0; image < 2; image++)
      for (let c = 0; c < 3; c++)
        for (let p = 0; p < 4; p++)
          expect(planes[image * 12 + c * 4 + p]).toBeCloseTo(
            (bytes[image * 12 + p * 3 + c]! / 255 - mean[c]!) / std[c]!,
            5,
          );
  });
});
