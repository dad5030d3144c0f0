import backwardSource from '../../../shaders/attention_naive_backward.wgsl';
import productSource from '../../../shaders/attention_naive_product.wgsl';
import scoresSource from '../../../shaders/attention_naive_scores.wgsl';
import softmaxSource from '../../../shaders/attention_naive_softmax.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { attentionDelta, deltaSource } from './delta.ts';
import {
  type AttentionOptions,
  type AttentionShape,
  type AttentionSizes,
  type BackwardVariant,
  endBuffers,
  type ForwardVariant,
  maskNumbers,
  type StridedView,
  scaleOf,
} from './shape.ts';

const scoresKernel = { name: 'attention_naive_scores', source: scoresSource };
const softmaxKernel = { name: 'attention_naive_softmax', source: softmaxSource };
const productKernel = { name: 'attention_naive_product', source: productSource };
const backwardKernel = { name: 'attention_naive_backward', source: backwardSource };

/** Below a fraction of a millisecond of work, compiling large kernels (seconds on software adapters) never pays. */
const cost = ({ adapter }: Gpu, { batch, heads, queries, keys, headDim }: AttentionShape): number =>
  adapter.software && batch * heads * queries * keys * headDim < 65536 ? 0 : 3;

/** Scores, softmax and product as separate kernels, with the matrix of scores in memory: any head size, and the oracle. */
export const naive: ForwardVariant = {
  name: 'naive',
  sources: [scoresSource, softmaxSource, productSource],
  applies: () => true,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, v, out } = options;
    const rows = batch * heads * queries;
    withScratch(gpu, 'attention_naive', (hold) => {
      const matrix = hold(gpu.pool.allocate(rows * keys * 4));
      const lse = options.lse ?? hold(gpu.pool.allocate(rows * 4));
      scores(gpu, options, matrix);
      gpu.run(softmaxKernel, {
        buffers: [matrix, lse],
        params: [rows, keys],
        groups: foldGroups(Math.ceil(rows / 64)),
      });
      const y = { buffer: out, offset: 0, stride: heads * headDim };
      product(gpu, options, { m: matrix, transpose: false, x: v, y, scale: 1 });
    });
  },
};

/** P and dS in memory, then dQ = scale·dS·K, dK = scale·dSᵀ·Q and dV = Pᵀ·dO. */
export const naiveBackward: BackwardVariant = {
  name: 'naive',
  sources: [deltaSource, scoresSource, backwardSource, productSource],
  applies: () => true,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, q, k, v, lse, dOut, dq, dk, dv } = options;
    const rows = batch * heads * queries;
    withScratch(gpu, backwardKernel.name, (hold) => {
      const p = hold(gpu.pool.allocate(rows * keys * 4));
      const dS = hold(gpu.pool.allocate(rows * keys * 4));
      const delta = hold(gpu.pool.allocate(rows * 4));
      attentionDelta(gpu, options, delta);
      scores(gpu, options, p);
      gpu.run(backwardKernel, {
        buffers: [dOut, v.buffer, lse, delta, p, dS],
        params: [queries, keys, heads, headDim, v.offset, v.stride],
        groups: [Math.ceil(keys / 8), Math.ceil(queries / 8), batch * heads],
      });
      const scale = scaleOf(options);
      product(gpu, options, { m: dS, transpose: false, x: k, y: dq, scale });
      product(gpu, options, { m: dS, transpose: true, x: q, y: dk, scale });
      const dO = { buffer: dOut, offset: 0, stride: heads * headDim };
      product(gpu, options, { m: p, transpose: true, x: dO, y: dv, scale: 1 });
    });
  },
};

function scores(gpu: Gpu, options: AttentionOptions, out: GpuBuffer): void {
  const { batch, queries, keys, heads, headDim, mask, q, k } = options;
  gpu.run(scoresKernel, {
    constants: { MASK: maskNumbers[mask] },
    buffers: [q.buffer, k.buffer, ...endBuffers(options), out],
    params: [queries, keys, heads, headDim, q.offset, q.stride, k.offset, k.stride, scaleOf(options)],
    groups: [Math.ceil(keys / 8), Math.ceil(queries / 8), batch * heads],
  });
}

interface Product {
  /** [batch, heads, queries, keys] */
  readonly m: GpuBuffer;
  readonly transpose: boolean;
  readonly x: StridedView;
  readonly y: StridedView;
  readonly scale: number;
}

function product(gpu: Gpu, sizes: AttentionSizes, { m, transpose, x, y, scale }: Product): void {
  const { batch, queries, keys, heads, headDim } = sizes;
  const [rows, columns] = transpose ? [keys, queries] : [queries, keys];
  const [row, column] = transpose ? [1, keys] : [keys, 1];
  gpu.run(productKernel, {
    buffers: [m, x.buffer, y.buffer],
    params: [rows, columns, heads, headDim, row, column, x.offset, x.stride, y.offset, y.stride, scale],
    groups: [Math.ceil(headDim / 16), Math.ceil(rows / 4), batch * heads],
  });
}
