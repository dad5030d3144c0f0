import type { RgbImage } from '../data/images/decode.ts';
import type { ImageJob } from '../data/images/prepare.ts';
import { nativeCrop } from '../data/images/transforms.ts';

type Transform = ImageJob['transform'];

/** Where native crops lie, the first of them where there are few: center, corners, middles of the edges. */
const places = [
  [0.5, 0.5],
  [0, 0],
  [1, 1],
  [1, 0],
  [0, 1],
  [0.5, 0],
  [0.5, 1],
  [0, 0.5],
  [1, 0.5],
] as const;

/** Where so many native crops lie: x, y from 0 (left, top) to 1. */
export const cropPlaces = (crops: number): readonly (readonly [number, number])[] => places.slice(0, crops);

/** What is encoded of an image: its resized center crop and, behind it, so many crops at its own resolution. */
export const cropTransforms = (crops: number): readonly Transform[] => [
  { kind: 'test' },
  ...cropPlaces(crops).map(([x, y]) => ({ kind: 'native' as const, x, y })),
];

/** The native crops of a decoded image, as a model that takes so many reads them. */
export const nativeCrops = (image: RgbImage, size: number, crops: number): readonly Uint8Array[] =>
  cropPlaces(crops).map(([x, y]) => nativeCrop(image, { x, y }, size));

/** Numbers of the feature that is made of those of an image's crops, `width` each. */
export const joinedWidth = (width: number, crops: number): number => (crops > 0 ? 2 * width : width);

/** Features of the resized image and its native crops, one after the other → [that of the resized one, the mean of the others]. */
export function joinCrops(features: Float32Array, width: number): Float32Array {
  const crops = features.length / width - 1;
  if (crops === 0) return features;
  const joined = features.slice(0, 2 * width);
  for (let i = width; i < joined.length; i++) {
    let sum = 0;
    for (let crop = 0; crop < crops; crop++) sum += features[i + crop * width]!;
    joined[i] = sum / crops;
  }
  return joined;
}

/** What a head takes of an image, [that of all its crops together, and with each native crop in place of their mean]. */
export function seenRows(features: Float32Array, crops: number): Float32Array {
  const width = features.length / (crops + 1);
  if (crops === 0) return features;
  const rows = new Float32Array((1 + crops) * 2 * width);
  rows.set(joinCrops(features, width));
  for (let crop = 1; crop <= crops; crop++) {
    rows.set(features.subarray(0, width), crop * 2 * width);
    rows.set(features.subarray(crop * width, (crop + 1) * width), (2 * crop + 1) * width);
  }
  return rows;
}
