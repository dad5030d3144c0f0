import sharp, { type Sharp } from 'sharp';
import { normals, streams } from '../../common/random.ts';
import type { RgbImage } from './decode.ts';

/** Distorts an image; `severity` from 0 (visible at a close look) to 1 (ruined), and milder below 0. */
export type Distortion = (image: RgbImage, severity: number, seed: number) => Promise<RgbImage>;

const open = ({ data, width, height }: RgbImage) => sharp(data, { raw: { width, height, channels: 3 } });

async function close(image: Sharp, { width, height }: RgbImage): Promise<RgbImage> {
  return { data: await image.removeAlpha().toColourspace('srgb').raw().toBuffer(), width, height };
}

/** Geometric between two values, as the eye takes severity: equal steps are equal ratios. */
const between = (from: number, to: number, severity: number) => from * (to / from) ** severity;

function mapBytes(
  { data, width, height }: RgbImage,
  change: (value: number, index: number) => number,
): RgbImage {
  const out = Buffer.alloc(data.length);
  for (let i = 0; i < data.length; i++) out[i] = Math.min(255, Math.max(0, Math.round(change(data[i]!, i))));
  return { data: out, width, height };
}

/** The mean of each square of `side` pixels in its place: what very coarse coding leaves. */
function blocks({ data, width, height }: RgbImage, side: number, strength: number): RgbImage {
  const out = Buffer.from(data);
  for (let y0 = 0; y0 < height; y0 += side)
    for (let x0 = 0; x0 < width; x0 += side)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        let count = 0;
        for (let y = y0; y < Math.min(height, y0 + side); y++)
          for (let x = x0; x < Math.min(width, x0 + side); x++, count++)
            sum += data[(y * width + x) * 3 + c]!;
        for (let y = y0; y < Math.min(height, y0 + side); y++)
          for (let x = x0; x < Math.min(width, x0 + side); x++) {
            const i = (y * width + x) * 3 + c;
            out[i] = Math.round(data[i]! * (1 - strength) + (sum / count) * strength);
          }
      }
  return { data: out, width, height };
}

/** Numbers of noise that are drawn; a larger image repeats them, so that their memory does not grow with it. */
const noiseDraws = 2 ** 22;

/** What severities 0 and 1 of a distortion are in its own unit; those between are {@link between} them. */
const ranges = {
  /** JPEG's quality. */
  jpeg: [40, 2],
  /** The standard deviation of a Gaussian in pixels. */
  blur: [0.6, 7],
  /** The standard deviation of Gaussian noise in levels of 255. */
  noise: [6, 80],
  /** How many times smaller each side gets. */
  resample: [1.5, 10],
} as const;

/** Distortions that are measured in a unit of their own. */
export type MeasuredDistortion = keyof typeof ranges;

/** The severity of a distortion that is given in its own unit. */
export function severityOf(name: MeasuredDistortion, value: number): number {
  const [from, to] = ranges[name];
  return Math.log(value / from) / Math.log(to / from);
}

/** The distortions there are, by name. */
export const distortions: Readonly<Record<string, Distortion>> = {
  /** JPEG at quality 40 down to 2. */
  jpeg: async (image, severity) => {
    const coded = await open(image)
      .jpeg({ quality: Math.round(between(...ranges.jpeg, severity)) })
      .toBuffer();
    return close(sharp(coded), image);
  },
  /** Gaussian blur of 0.6 to 7 pixels. */
  blur: async (image, severity) => close(open(image).blur(between(...ranges.blur, severity)), image),
  /** Gaussian noise of standard deviation 6 to 80 levels. */
  noise: async (image, severity, seed) => {
    const std = between(...ranges.noise, severity);
    const draws = normals(Math.min(image.data.length, noiseDraws), seed, streams.noise);
    return mapBytes(image, (value, i) => value + std * draws[i % draws.length]!);
  },
  /** Levels reduced from 24 to 2. */
  banding: async (image, severity) => {
    const step = 255 / (Math.round(between(24, 2, severity)) - 1);
    return mapBytes(image, (value) => Math.round(value / step) * step);
  },
  /** Shrunk to 1/1.5 to 1/10 and enlarged again. */
  resample: async (image, severity) => {
    const factor = between(...ranges.resample, severity);
    const [width, height] = [image.width, image.height].map((side) =>
      Math.max(4, Math.round(side / factor)),
    ) as [number, number];
    const shrunk = await open(image).resize(width, height, { kernel: 'cubic', fit: 'fill' }).raw().toBuffer();
    const enlarged = sharp(shrunk, { raw: { width, height, channels: 3 } });
    return close(enlarged.resize(image.width, image.height, { kernel: 'nearest', fit: 'fill' }), image);
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
  /** From 0 (visible at a close look) to 1 (ruined), and milder below 0. */
  readonly severity: number;
  readonly seed: number;
}

/** An image, distorted; its pixels are a copy of their own, which may go to another thread with their whole buffer. */
export async function distort(
  { data, width, height }: RgbImage,
  { name, severity, seed }: DistortionDraw,
): Promise<RgbImage> {
  const apply = distortions[name];
  if (!apply) throw new Error(`no distortion named ${name}`);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const distorted = await apply({ data: bytes, width, height }, severity, seed);
  return { ...distorted, data: new Uint8Array(distorted.data) };
}
