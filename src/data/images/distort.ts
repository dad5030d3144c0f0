import sharp, { type Sharp } from 'sharp';
import { normals, streams } from '../../common/random.ts';

/** RGB pixels of a square image, row by row. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly size: number;
}

/** Distorts an image; `severity` from 0 (barely visible) to 1 (ruined). */
export type Distortion = (image: Pixels, severity: number, seed: number) => Promise<Pixels>;

const open = ({ data, size }: Pixels) => sharp(data, { raw: { width: size, height: size, channels: 3 } });

async function close(image: Sharp, size: number): Promise<Pixels> {
  return { data: await image.removeAlpha().toColourspace('srgb').raw().toBuffer(), size };
}

/** Geometric between two values, as the eye takes severity: equal steps are equal ratios. */
const between = (from: number, to: number, severity: number) => from * (to / from) ** severity;

function mapBytes({ data, size }: Pixels, change: (value: number, index: number) => number): Pixels {
  const out = Buffer.alloc(data.length);
  for (let i = 0; i < data.length; i++) out[i] = Math.min(255, Math.max(0, Math.round(change(data[i]!, i))));
  return { data: out, size };
}

/** The mean of each square of `side` pixels in its place: what very coarse coding leaves. */
function blocks({ data, size }: Pixels, side: number, strength: number): Pixels {
  const out = Buffer.from(data);
  for (let y0 = 0; y0 < size; y0 += side)
    for (let x0 = 0; x0 < size; x0 += side)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        let count = 0;
        for (let y = y0; y < Math.min(size, y0 + side); y++)
          for (let x = x0; x < Math.min(size, x0 + side); x++, count++) sum += data[(y * size + x) * 3 + c]!;
        for (let y = y0; y < Math.min(size, y0 + side); y++)
          for (let x = x0; x < Math.min(size, x0 + side); x++) {
            const i = (y * size + x) * 3 + c;
            out[i] = Math.round(data[i]! * (1 - strength) + (sum / count) * strength);
          }
      }
  return { data: out, size };
}

/** The distortions there are, by name. */
export const distortions: Readonly<Record<string, Distortion>> = {
  /** JPEG at quality 40 down to 2. */
  jpeg: async (image, severity) => {
    const coded = await open(image)
      .jpeg({ quality: Math.round(between(40, 2, severity)) })
      .toBuffer();
    return close(sharp(coded), image.size);
  },
  /** Gaussian blur of 0.6 to 7 pixels. */
  blur: async (image, severity) => close(open(image).blur(between(0.6, 7, severity)), image.size),
  /** Gaussian noise of standard deviation 6 to 80 levels. */
  noise: async (image, severity, seed) => {
    const std = between(6, 80, severity);
    const draws = normals(image.data.length, seed, streams.noise);
    return mapBytes(image, (value, i) => value + std * draws[i]!);
  },
  /** Levels reduced from 24 to 2. */
  banding: async (image, severity) => {
    const step = 255 / (Math.round(between(24, 2, severity)) - 1);
    return mapBytes(image, (value) => Math.round(value / step) * step);
  },
  /** Shrunk to 1/1.5 to 1/10 and enlarged again. */
  resample: async (image, severity) => {
    const small = Math.max(4, Math.round(image.size / between(1.5, 10, severity)));
    const shrunk = await open(image).resize(small, small, { kernel: 'cubic' }).raw().toBuffer();
    const enlarged = sharp(shrunk, { raw: { width: small, height: small, channels: 3 } });
    return close(enlarged.resize(image.size, image.size, { kernel: 'nearest' }), image.size);
  },
  /** Red and blue moved apart by 10 to 110 levels. */
  color: async (image, severity) => {
    const shift = between(10, 110, severity);
    return mapBytes(image, (value, i) => value + [shift, -shift / 2, -shift][i % 3]!);
  },
  /** Blocks of 8 to 24 pixels, half to fully flat. */
  blocks: async (image, severity) =>
    blocks(image, Math.round(between(8, 24, severity)), 0.35 + 0.65 * severity),
};

export const distortionNames = Object.keys(distortions);

/** One distortion of one image: plain data, so that it can go to another thread. */
export interface DistortionDraw {
  /** One of `distortionNames`. */
  readonly name: string;
  /** From 0 (barely visible) to 1 (ruined). */
  readonly severity: number;
  readonly seed: number;
}

/** RGB bytes of a square image, distorted. */
export async function distort(
  pixels: Uint8Array,
  size: number,
  { name, severity, seed }: DistortionDraw,
): Promise<Uint8Array> {
  const spoil = distortions[name];
  if (!spoil) throw new Error(`no distortion named ${name}`);
  const data = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  // A copy of its own: the bytes may go to another thread with their whole buffer.
  return new Uint8Array((await spoil({ data, size }, severity, seed)).data);
}
