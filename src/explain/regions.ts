/** Squares of patches that are shown or hidden together. */
export interface Regions {
  /** Regions a side. */
  readonly side: number;
  readonly count: number;
  /** Patches a side. */
  readonly patches: number;
  /** The region of each patch, row by row. */
  readonly of: Int32Array;
}

/** More regions would each matter less than the noise of an estimate. */
const mostASide = 8;

/** The patches of an image in at most 8 x 8 squares; those at the right and the bottom may be smaller. */
export function regionsOf(patches: number): Regions {
  const edge = Math.ceil(patches / mostASide);
  const side = Math.ceil(patches / edge);
  const at = (patch: number) =>
    Math.floor(Math.floor(patch / patches) / edge) * side + Math.floor((patch % patches) / edge);
  return {
    side,
    count: side * side,
    patches,
    of: Int32Array.from({ length: patches * patches }, (_, i) => at(i)),
  };
}

/** A map's sums over the patches of each region. */
export function regionSums(map: ArrayLike<number>, { count, of }: Regions): Float64Array {
  const sums = new Float64Array(count);
  for (const [patch, region] of of.entries()) sums[region]! += map[patch]!;
  return sums;
}

/** A square image, RGB row by row, with `other` in place of the regions for which `hidden` is not 0. */
export function withHidden(
  pixels: Uint8Array,
  other: Uint8Array,
  hidden: ArrayLike<number>,
  { patches, of }: Regions,
): Uint8Array {
  const size = Math.sqrt(pixels.length / 3);
  const patch = size / patches;
  const result = pixels.slice();
  for (const [i, region] of of.entries()) {
    if (!hidden[region]) continue;
    const [top, left] = [Math.floor(i / patches) * patch, (i % patches) * patch];
    for (let y = top; y < top + patch; y++) {
      const from = (y * size + left) * 3;
      result.set(other.subarray(from, from + patch * 3), from);
    }
  }
  return result;
}

/** What a hidden region shows: the mean color of the image, or the image out of focus. */
export const covers = { mean: meanColor, blur: outOfFocus } as const;
export type Cover = keyof typeof covers;

function meanColor(pixels: Uint8Array): Uint8Array {
  const sums = [0, 0, 0];
  for (let i = 0; i < pixels.length; i++) sums[i % 3]! += pixels[i]!;
  const mean = sums.map((sum) => Math.round((3 * sum) / pixels.length));
  return pixels.map((_, i) => mean[i % 3]!);
}

/** Three box blurs, nearly a Gaussian (central limit theorem), of 1/9 of the image's side each. */
function outOfFocus(pixels: Uint8Array): Uint8Array {
  const size = Math.sqrt(pixels.length / 3);
  const radius = Math.max(1, Math.round(size / 18));
  let values: Float64Array = Float64Array.from(pixels);
  for (let pass = 0; pass < 3; pass++)
    for (const [step, line] of [
      [3, 3 * size],
      [3 * size, 3],
    ] as const)
      values = boxBlur(values, size, radius, step, line);
  return Uint8Array.from(values, Math.round);
}

/** Means over 2 · radius + 1 pixels along lines; at their ends over as many as there are. */
function boxBlur(
  values: Float64Array,
  size: number,
  radius: number,
  step: number,
  line: number,
): Float64Array {
  const result = new Float64Array(values.length);
  for (let l = 0; l < size; l++)
    for (let c = 0; c < 3; c++) {
      const at = (i: number) => l * line + i * step + c;
      let sum = 0;
      let count = 0;
      for (let i = -radius; i < size; i++) {
        if (i + radius < size) {
          sum += values[at(i + radius)]!;
          count++;
        }
        if (i - radius - 1 >= 0) {
          sum -= values[at(i - radius - 1)]!;
          count--;
        }
        if (i >= 0) result[at(i)] = sum / count;
      }
    }
  return result;
}
