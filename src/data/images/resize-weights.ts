/** Pillow keeps the weights of 8-bit images in fixed point: 32 bits less 8 of the pixel and 2 of headroom. */
export const precisionBits = 22;

/** A rectangle of pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** For each output position i: its first input position, its number of taps, and `stride` weights from i·stride on. */
export interface ResizeWeights {
  readonly first: Int32Array;
  readonly taps: Int32Array;
  readonly stride: number;
  readonly weight: Int32Array;
}

/** The cubic convolution kernel (Keys 1981) with a = −0.5; zero from |x| = 2 on. */
function cubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Weights of a line of `input` samples resampled to `output`: the kernel is widened by the factor when shrinking. */
function computeWeights(input: number, output: number): ResizeWeights {
  const scale = input / output;
  const widening = Math.max(scale, 1);
  const support = 2 * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(output);
  const taps = new Int32Array(output);
  const weight = new Int32Array(output * stride);
  const line = new Float64Array(stride);
  // The product with the reciprocal, not a division: the last bit decides how a weight rounds.
  const narrowing = 1 / widening;
  for (let i = 0; i < output; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(input, Math.trunc(center + support + 0.5)) - from;
    let sum = 0;
    for (let t = 0; t < count; t++) {
      const value = cubic((t + from - center + 0.5) * narrowing);
      line[t] = value;
      sum += value;
    }
    first[i] = from;
    taps[i] = count;
    for (let t = 0; t < count; t++) {
      const fixed = (sum === 0 ? line[t]! : line[t]! / sum) * (1 << precisionBits);
      weight[i * stride + t] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
  }
  return { first, taps, stride, weight };
}

/** Random crops bring a new size nearly every time: enough for the fixed ones, bounded for the rest. */
const maxCached = 512;
const cache = new Map<number, ResizeWeights>();

/** Weights of `input` samples resampled to `output`, which are kept for those asked for last. */
export function weightsFor(input: number, output: number): ResizeWeights {
  const key = input * 0x100000 + output;
  let weights = cache.get(key);
  if (!weights) {
    weights = computeWeights(input, output);
    if (cache.size >= maxCached) cache.delete(cache.keys().next().value!);
    cache.set(key, weights);
  }
  return weights;
}
