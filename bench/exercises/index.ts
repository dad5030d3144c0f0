import type { GpuBuffer } from '../../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { scaleBy } from '../../src/kernels/elementwise.ts';
import { matmul as product } from '../../src/kernels/matmul/index.ts';
import { layerNorm } from '../../src/kernels/rows/layernorm.ts';
import { reduceAll } from '../../src/kernels/rows/reduce.ts';
import { softmax as softmaxRows } from '../../src/kernels/rows/softmax.ts';
import { referenceMatmul } from '../../src/reference/matmul.ts';
import { byRows, layerNormRow, softmaxRow, sumOf } from '../../src/reference/rows.ts';
import { randoms } from '../../test/reference/values.ts';
import layernormStart from './layernorm.wgsl';
import matmulStart from './matmul.wgsl';
import scaleStart from './scale.wgsl';
import softmaxStart from './softmax.wgsl';
import sumStart from './sum.wgsl';

/** A kernel at one shape: what it gets, and what must come out. */
export interface ExerciseCase {
  readonly shape: string;
  /** Numbers of the uniform block, in order. */
  readonly params: readonly number[];
  readonly inputs: readonly Float32Array[];
  /** By definition, in float64. */
  readonly expected: Float64Array;
}

/** A kernel for somebody to write. */
export interface Exercise {
  readonly name: string;
  /** Where one starts: WGSL that says what is asked for. */
  readonly start: string;
  /** Whether the start is right already, so that the exercise is to make it faster. */
  readonly right: boolean;
  /** Small changes to try, each with what to watch. */
  readonly tasks: readonly string[];
  readonly cases: () => readonly ExerciseCase[];
  /** The shape that is timed. */
  readonly timed: () => ExerciseCase;
  /** The engine's own kernel on the same buffers. */
  readonly engine: (
    gpu: Gpu,
    inputs: readonly GpuBuffer[],
    out: GpuBuffer,
    params: readonly number[],
  ) => void;
  /** Largest error, as a share of the largest number. */
  readonly tolerance: number;
}

const scale: Exercise = {
  name: 'scale',
  start: scaleStart,
  right: false,
  tasks: [
    'Write the line. A store to `y[i]`, no loop.',
    'Remove the `if`. The check still passes on some adapters: WebGPU clamps or drops what lies outside of a buffer. Why is it there?',
    'Let each invocation do four elements that lie next to each other, then four that lie 64 apart; `//@groups` changes too. Which is faster on your adapter, and which would be on a GPU, where the lanes of a workgroup read memory together?',
  ],
  cases: () => [1, 64, 1000, 4097].map((size) => scaleCase(size)),
  timed: () => scaleCase(2 ** 21),
  engine: (gpu, [x], out, [size, factor]) => scaleBy(gpu, x!, out, size!, factor!),
  tolerance: 1e-6,
};
const scaleCase = (size: number): ExerciseCase => {
  const x = randoms(size, 1);
  return {
    shape: `${size}`,
    params: [size, 2.5],
    inputs: [x],
    expected: Float64Array.from(x, (v) => 2.5 * v),
  };
};

const sum: Exercise = {
  name: 'sum',
  start: sumStart,
  right: true,
  tasks: [
    'Use 64 invocations and shared memory, as the header says. What does it gain?',
    'Replace the halving by `subgroupAdd` (put `enable subgroups;` anywhere) and one number a subgroup in shared memory.',
    'Remove one `workgroupBarrier()`. On a software adapter the sum may come out right all the same, on a GPU it will not: a test on one machine proves nothing here.',
    'Watch the error of a million numbers: one invocation that adds them up in order loses more digits than a tree of sums. Why?',
  ],
  cases: () => [1, 63, 1000, 100_003].map(sumCase),
  timed: () => sumCase(2 ** 20),
  engine: (gpu, [x], out, [size]) => reduceAll(gpu, { x: x!, out, size: size! }),
  tolerance: 1e-4,
};
function sumCase(size: number): ExerciseCase {
  // Above 0, so that nothing cancels and the tolerance means something.
  const x = randoms(size, 2).map((v) => 1 + 0.5 * Math.tanh(v));
  return {
    shape: `${size}`,
    params: [size],
    inputs: [x],
    expected: Float64Array.of(sumOf(Float64Array.from(x))),
  };
}

const softmax: Exercise = {
  name: 'softmax',
  start: softmaxStart,
  right: true,
  tasks: [
    'Remove `- largest`. Which shape fails, and with which number? (exp of 89 is more than a float32 holds.)',
    'Make one pass of the first two: keep the largest value so far and the sum relative to it, and correct the sum when a larger one comes (Milakov and Gimelshein, arXiv 1805.02867).',
    'Give a row to a workgroup of 64, as in the exercise `sum`. For which widths does it pay?',
    'Load four elements at once (`array<vec4f>`). What has to happen at a row whose width is no multiple of 4?',
  ],
  cases: () => [rowsCase(1, 1), rowsCase(5, 7), rowsCase(33, 197), rowsCase(9, 1000)],
  timed: () => rowsCase(4096, 197),
  engine: (gpu, [x], y, [rows, width]) =>
    softmaxRows.run(gpu, { buffers: [x!, y], constants: { LOG: 0 } }, { rows: rows!, width: width! }),
  tolerance: 1e-5,
};
function rowsCase(rows: number, width: number): ExerciseCase {
  const x = randoms(rows * width, 3, 3);
  // One row is far from 0, where an exponential overflows or vanishes.
  for (let i = 0; i < width; i++) x[i]! += 300;
  for (let i = (rows - 1) * width; i < rows * width; i++) x[i]! -= 300;
  const expected = byRows(x, width, softmaxRow);
  return { shape: `${rows}x${width}`, params: [rows, width], inputs: [x], expected };
}

const layernorm: Exercise = {
  name: 'layernorm',
  start: layernormStart,
  right: true,
  tasks: [
    'Compute the variance as the mean of squares less the squared mean, in one pass with the mean. Which shape fails, and why? (One row has a mean of 1000.)',
    'Now in one pass and right: Welford’s update, or sums of the differences from the first element of the row.',
    'Give a row to a subgroup (`subgroupAdd`), or to a workgroup with shared memory.',
  ],
  cases: () => [normCase(1, 4), normCase(7, 33), normCase(20, 768)],
  timed: () => normCase(1576, 768),
  engine: (gpu, [x, gamma, beta], y, [rows, width, eps]) =>
    layerNorm(gpu, {
      x: x!,
      affine: { gamma: gamma!, beta: beta! },
      y,
      stats: null,
      rows: rows!,
      width: width!,
      eps: eps!,
    }),
  tolerance: 1e-3,
};
function normCase(rows: number, width: number): ExerciseCase {
  const x = randoms(rows * width, 4);
  for (let i = 0; i < width; i++) x[i]! += 1000;
  const [gamma, beta] = [randoms(width, 5), randoms(width, 6)];
  const expected = byRows(x, width, (row) => layerNormRow(row, { gamma, beta }).y);
  return { shape: `${rows}x${width}`, params: [rows, width, 1e-5], inputs: [x, gamma, beta], expected };
}

const matmul: Exercise = {
  name: 'matmul',
  start: matmulStart,
  right: true,
  tasks: [
    'Exchange the roles of `id.x` and `id.y` (and of the two numbers after `//@groups`). What happens to the time, and why? (Who reads neighbors in memory?)',
    'Let each invocation compute four outputs of a row: A is read once for all four. How many loads is that for a multiply-add?',
    'Then 4 x 4 outputs, in sixteen variables. How many loads now? Where does it end? (Registers.)',
    'For a GPU: pass tiles of A and B through shared memory. A software adapter has nothing of the kind, and gets slower.',
  ],
  cases: () => [matmulCase(1, 1, 1), matmulCase(3, 5, 7), matmulCase(33, 65, 40)],
  timed: () => matmulCase(197, 192, 192),
  engine: (gpu, [a, b], out, [m, n, k]) => product(gpu, { a: a!, b: b!, out, m: m!, n: n!, k: k! }),
  tolerance: 1e-5,
};
function matmulCase(m: number, n: number, k: number): ExerciseCase {
  const [a, b] = [randoms(m * k, 7), randoms(k * n, 8)];
  return {
    shape: `${m}x${k}x${n}`,
    params: [m, n, k],
    inputs: [a, b],
    expected: referenceMatmul(a, b, { m, n, k }),
  };
}

export const exercises: readonly Exercise[] = [scale, sum, softmax, layernorm, matmul];
