/**
 * Counter-based random numbers: Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A draw is a pure function of its seed, its stream and its index, so the same numbers come out in any
 * order, on any thread, after any resume, and in WGSL.
 */

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

export type Counter = readonly [number, number, number, number];
export type Key = readonly [number, number];

/**
 * High 32 bits of a·b, both unsigned 32-bit: JavaScript's doubles cannot hold the 64-bit product, so by halves. Every sum stays below
 * 2^32, so that all of it is integer arithmetic.
 */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = ((Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const carry = ((middle & 0xffff) + (Math.imul(aLow, bHigh) >>> 0)) >>> 0;
  return ((Math.imul(aHigh, bHigh) >>> 0) + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/** Ten rounds of Philox-4x32: a block of four unsigned 32-bit words from a 128-bit counter and a 64-bit key. */
export function philox(counter: Counter, key: Key): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0);
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * Every stream that this program draws from, so that two choices share one only where it says so. Those with a "+" are the first
 * of several. The choices that share a number are made with seeds of their own; the numbers stay, since they fix results.
 */
export const streams = {
  /** The mask of the head's dropout before its first layer, on the GPU; the step is the block's high word. */
  inputDropout: 1,
  /** The mask of the head's dropout before its last layer, likewise. */
  hiddenDropout: 4,
  /** Initial weight and bias of the head's first layer. */
  hiddenWeight: 11,
  hiddenBias: 12,
  /** Initial weight and bias of the head's last layer. */
  outputWeight: 14,
  outputBias: 15,
  /** Initial context vectors. */
  context: 21,
  /** Crop and flip of an image in an epoch: the counter's last word, where all others have 0. */
  crop: 0x43,
  /** Which distortion a view of pre-training has, and how severe. */
  distortion: 0x44,
  /** Initial weights of the head that predicts the teacher's features. */
  distillationHead: 0x45,
  /** Which training images few-shot training takes. Shares its number with `noise`. */
  fewShot: 0x51,
  /** The noise of a distorted image, from a seed of that image. Shares its number with `fewShot`. */
  noise: 0x51,
  /** + 0, 1, 2: which images of the training, validation and test part `limit` takes. */
  limit: 0x52,
  /** How severe each degraded version of a training image is; the image is the seed. */
  degradation: 0x53,
  /** In which order an evaluation deals prompts to folds, and which it holds out for validation. */
  folds: 0x56,
  heldOut: 0x57,
  /** + epoch: the order of the training images. */
  epoch: 0x1000,
  /** + place of a tensor: the initial weights of a model. Shares its numbers with `bootstrap`. */
  weights: 0x2000,
  /** + resample: the rows of a bootstrap resample. Shares its numbers with `weights`. */
  bootstrap: 0x2000,
  /** + pair of permutations: in which order the regions of an image are shown. */
  shapley: 0x3000,
  /** + scene: what a drawn scene shows. */
  scene: 0x5000,
} as const;

/** A seed (a non-negative integer below 2^53) as a Philox key: low word, high word. */
export function keyOf(seed: number): Key {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * Word `index` of stream `stream` (unsigned 32-bit): word `index mod 4` of the block at counter
 * `[index / 4 (low), index / 4 (high), stream, 0]` under the key of `seed`. The GPU kernels count the same way.
 */
export function randomWord(seed: number, stream: number, index: number): number {
  const block = Math.floor(index / 4);
  return philox([block >>> 0, Math.floor(block / 2 ** 32), stream >>> 0, 0], keyOf(seed))[index % 4]!;
}

/** Uniform in [0, 1), a multiple of 2^-32. */
export function uniform(seed: number, stream: number, index: number): number {
  return randomWord(seed, stream, index) * 2 ** -32;
}

/** The first `count` draws of a stream, each as {@link uniform} gives it, four to a block. */
export function uniforms(count: number, seed: number, stream: number): Float64Array {
  const key = keyOf(seed);
  const draws = new Float64Array(count);
  for (let at = 0; at < count; at += 4) {
    const block = at / 4;
    const words = philox([block >>> 0, Math.floor(block / 2 ** 32), stream >>> 0, 0], key);
    for (let i = 0; i < 4 && at + i < count; i++) draws[at + i] = words[i]! * 2 ** -32;
  }
  return draws;
}

/** Standard normal by Box–Muller: indices 2k and 2k + 1 are the cosine and the sine of one pair of uniforms. */
export function normal(seed: number, stream: number, index: number): number {
  const even = index - (index % 2);
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, stream, even)));
  const angle = 2 * Math.PI * uniform(seed, stream, even + 1);
  return radius * (index % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
}

/** The first `count` draws of a stream, each as {@link normal} gives it, times `std`. */
export function normals(count: number, seed: number, stream: number, std = 1): Float64Array {
  const draws = uniforms(count + (count % 2), seed, stream);
  for (let even = 0; even < count; even += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - draws[even]!));
    const angle = 2 * Math.PI * draws[even + 1]!;
    draws[even] = radius * Math.cos(angle) * std;
    draws[even + 1] = radius * Math.sin(angle) * std;
  }
  return draws.subarray(0, count);
}

/** The numbers 0 … n − 1 in random order (Fisher–Yates; entry i is settled by uniform draw i of the stream). */
export function permutation(n: number, seed: number, stream: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  const draws = uniforms(n, seed, stream);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(draws[i]! * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}
