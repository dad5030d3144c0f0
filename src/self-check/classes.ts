import {
  type AttentionInputs,
  type AttentionSizes,
  applicableAttention,
  attentionBackward,
  attentionForward,
  attentionVariants,
} from '../kernels/attention/index.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { classOfVariant } from '../kernels/device/masks.ts';
import { applicableMatmuls, type MatmulOptions, matmul, matmulVariants } from '../kernels/matmul/index.ts';
import { applicableRowVariants, rowVariants, withRowVariant } from '../kernels/rows/row-kernel.ts';
import { softmax } from '../kernels/rows/softmax.ts';
import { referenceAttention } from '../reference/attention.ts';
import { type Check, difference, poison, someNumbers, withBuffers } from './check.ts';

/** Each class of variants of the engine's large kernels once, at a small size that no tile divides, against the definition in float64. */

const classesOf = (variants: readonly string[]) => [...new Set(variants.map(classOfVariant))];
const firstOf = (name: string, variants: readonly string[]) =>
  variants.find((variant) => classOfVariant(variant) === name);
/** Whatever else fails, the plain kernels are left: nothing stands in for them. */
const masksOf = (name: string, ...kernels: readonly string[]) =>
  name === 'naive' ? [] : kernels.map((kernel) => `${kernel} ${name}`);

const product = { m: 35, n: 36, k: 68, transposeB: true };

function productChecks(): Check[] {
  const { m, n, k } = product;
  const [a, b] = [someNumbers(m * k, 1), someNumbers(n * k, 2)];
  const expected = () =>
    Float64Array.from({ length: m * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a[i * k + l]! * b[j * k + l]!;
      return sum;
    });
  const withOperands = <T>(gpu: Gpu, work: (options: MatmulOptions) => Promise<T>): Promise<T> =>
    withBuffers(gpu, (make) => work({ ...product, a: make(a), b: make(b), out: make(poison(m * n)) }));
  const variantOf = (gpu: Gpu, name: string) =>
    // No buffer is looked at to tell which variants apply.
    firstOf(name, applicableMatmuls(gpu, product as MatmulOptions));
  return classesOf(matmulVariants).map((name) => ({
    name: `matmul ${name}`,
    // Frozen weights stand in textures for the sake of these.
    masks: name === 'texture' ? ['texture-reads'] : masksOf(name, 'matmul'),
    applies: (gpu) => variantOf(gpu, name) !== undefined,
    run: (gpu) =>
      withOperands(gpu, async (options) => {
        matmul(gpu, { ...options, variant: variantOf(gpu, name)! });
        return difference(new Float32Array(await gpu.read(options.out, 4 * m * n)), expected());
      }),
  }));
}

/** A row of all heads is 256 bytes, as a texture takes it. */
const sizes = { batch: 1, queries: 19, keys: 19, heads: 4, headDim: 16, mask: 'causal' } as const;

function attentionChecks(): Check[] {
  const { batch, queries, heads, headDim } = sizes;
  const width = heads * headDim;
  const count = queries * width;
  const [q, k, v, dOut] = [1, 2, 3, 4].map((seed) => someNumbers(count, seed)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  // Of which the strides alone are looked at.
  const views = Object.fromEntries(
    ['q', 'k', 'v'].map((name) => [name, { offset: 0, stride: width }]),
  ) as unknown as AttentionInputs;
  const variantOf = (gpu: Gpu, name: string) =>
    firstOf(name, applicableAttention(gpu, { ...views, ...(sizes as AttentionSizes) }));
  return classesOf(attentionVariants).map((name) => ({
    name: `attention ${name}`,
    masks: masksOf(name, 'attention', 'attention_backward'),
    applies: (gpu) => variantOf(gpu, name) !== undefined,
    run: (gpu) =>
      withBuffers(gpu, async (make) => {
        const variant = variantOf(gpu, name)!;
        const view = (data: Float32Array) => ({ buffer: make(data), offset: 0, stride: width });
        const [out, gradients] = [make(poison(count)), make(poison(3 * count))];
        const lse = make(poison(batch * heads * queries));
        const inputs = { ...sizes, q: view(q), k: view(k), v: view(v), out, lse, variant };
        attentionForward(gpu, inputs);
        const part = (i: number) => ({ buffer: gradients, offset: i * count, stride: width });
        attentionBackward(gpu, { ...inputs, dOut: make(dOut), dq: part(0), dk: part(1), dv: part(2) });
        const expected = referenceAttention({ ...sizes, end: undefined, q, k, v, dOut });
        const read = async (buffer: typeof out, elements: number) =>
          new Float32Array(await gpu.read(buffer, 4 * elements));
        const [forward, backward] = [await read(out, count), await read(gradients, 3 * count)];
        const expectedBackward = [expected.dq, expected.dk, expected.dv].flatMap((part) => [...part]);
        const wrong = difference(forward, expected.out);
        if (wrong) return wrong;
        const wrongBackward = difference(backward, expectedBackward);
        return wrongBackward && `backward, ${wrongBackward}`;
      }),
  }));
}

/** By who owns a row: the kernels that work by rows take the same lines of WGSL to share it. */
function rowChecks(): Check[] {
  const shape = { rows: 9, width: 39 };
  const { rows, width } = shape;
  const x = someNumbers(rows * width, 5).map((value) => 8 * value);
  const expected = () => {
    const y = Float64Array.from(x, (value) => Math.exp(value));
    for (let row = 0; row < rows; row++) {
      const one = y.subarray(row * width, (row + 1) * width);
      const sum = one.reduce((total, value) => total + value, 0);
      one.forEach((value, i) => {
        one[i] = value / sum;
      });
    }
    return y;
  };
  return rowVariants.map((name) => ({
    name: `rows by ${name}`,
    masks: masksOf(name, 'rows'),
    applies: (gpu) => applicableRowVariants(gpu).includes(name),
    run: (gpu) =>
      withBuffers(gpu, async (make) => {
        const y = make(poison(rows * width));
        const launch = { buffers: [make(x), y], constants: { LOG: 0 } };
        withRowVariant(name, () => softmax.run(gpu, launch, shape));
        return difference(new Float32Array(await gpu.read(y, 4 * rows * width)), expected());
      }),
  }));
}

const all: readonly Check[] = [...productChecks(), ...attentionChecks(), ...rowChecks()];
export const classes = all.map((check) => ({ ...check, large: check.name !== 'matmul naive' }));
