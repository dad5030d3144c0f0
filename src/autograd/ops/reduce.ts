import { fill, scaleBy } from '../../kernels/elementwise.ts';
import { matmul } from '../../kernels/matmul/index.ts';
import { columnSum, reduceAll, rowReduce } from '../../kernels/rows/reduce.ts';
import { copyBlock } from '../../kernels/shape.ts';
import type { Op } from '../op.ts';
import { allOrNone } from '../scope.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

type Over = 'all' | 'rows' | 'columns';

const reduceOp = (name: string): Op<{ inputs: [x: Tensor]; attributes: { over: Over; factor: number } }> => ({
  name,
  forward([x], { attributes: { over, factor } }) {
    const { gpu, shape, size } = x;
    if (over === 'all') {
      const out = Tensor.empty(gpu, [1]);
      reduceAll(gpu, { x: x.buffer, out: out.buffer, size, factor });
      return out;
    }
    if (over === 'columns') {
      const out = Tensor.empty(gpu, shape.slice(0, -1));
      const width = x.dim(-1);
      rowReduce(gpu, { x: x.buffer, out: out.buffer, rows: size / width, width, factor });
      return out;
    }
    const out = Tensor.empty(gpu, shape.slice(1));
    columnSum(gpu, { x: x.buffer, out: out.buffer, rows: x.dim(0), width: out.size, factor });
    return out;
  },
  // Every element that went into a sum gets that sum's gradient.
  gradient(dy, { attributes: { over, factor }, shapes: [shape] }) {
    const { gpu } = dy;
    const dx = Tensor.empty(gpu, shape);
    const scaled = Tensor.empty(gpu, dy.shape);
    scaleBy(gpu, dy.buffer, scaled.buffer, dy.size, factor);
    if (over === 'columns') {
      // A column of gradients times a row of ones.
      const width = dx.dim(-1);
      const ones = Tensor.empty(gpu, [width]);
      fill(gpu, ones.buffer, width, 1);
      matmul(gpu, { a: scaled.buffer, b: ones.buffer, out: dx.buffer, m: dy.size, n: width, k: 1 });
    } else {
      const width = over === 'all' ? 1 : dy.size;
      const block = { rows: dx.size / width, width, xStride: 0, xAt: 0, outStride: width, outAt: 0 };
      copyBlock(gpu, scaled.buffer, dx.buffer, block);
    }
    return [dx];
  },
});

const sumOp = reduceOp('sum');
const meanOp = reduceOp('mean');

function reduce(x: Tensor, axis: number | undefined, op: typeof sumOp): Tensor {
  const { shape } = x;
  const last = shape.length - 1;
  const over: Over = axis === undefined || shape.length === 1 ? 'all' : axis === 0 ? 'rows' : 'columns';
  if (axis !== undefined && axis !== 0 && axis !== last && axis !== -1)
    throw new Error(
      `${op.name} over axis ${axis} of [${shape.join(', ')}]: only the first and the last axis are supported`,
    );
  const count = over === 'all' ? x.size : x.dim(over === 'rows' ? 0 : -1);
  return apply(op, [x], { over, factor: op === meanOp ? 1 / count : 1 });
}

/** The sum over the first (0) or last (-1) axis, or, without an axis, of everything ([1]). */
export function sum(x: Tensor, axis?: number): Tensor {
  return reduce(x, axis, sumOp);
}

/** The mean over the first (0) or last (-1) axis, or, without an axis, of everything ([1]). */
export function mean(x: Tensor, axis?: number): Tensor {
  return reduce(x, axis, meanOp);
}

function reduced(x: Tensor, operation: 'squares' | 'max'): Tensor {
  return allOrNone(() => {
    const out = Tensor.empty(x.gpu, [1]);
    reduceAll(x.gpu, { x: x.buffer, out: out.buffer, size: x.size, operation });
    return out;
  });
}

/** Σ x² over everything, [1], as gradient clipping needs it; not differentiable. */
export function sumOfSquares(x: Tensor): Tensor {
  return reduced(x, 'squares');
}

/** The largest element, [1]; not differentiable. */
export function maxAll(x: Tensor): Tensor {
  return reduced(x, 'max');
}
