import { elementCount } from '../../common/shape.ts';
import { fill } from '../../kernels/elementwise.ts';
import { columnSum } from '../../kernels/rows/reduce.ts';
import { copyBlock, permute as permuteWords } from '../../kernels/shape.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor, type TensorType } from '../tensor.ts';

const anyType = [['f32', 'f16', 'u32']] as const;

const reshapeOp: Op<{ inputs: [x: Tensor]; attributes: { to: readonly number[] } }> = {
  name: 'reshape',
  types: anyType,
  forward: ([x], { attributes: { to } }) => x.view(to),
  gradient: (dy, { shapes: [from] }) => [dy.view(from)],
};

/** The same elements in another shape; shares the storage. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return apply(reshapeOp, [x], { to: shape });
}

/** Sizes before, of, and after an axis. */
function around(shape: readonly number[], axis: number): [number, number, number] {
  const size = shape[axis];
  if (size === undefined) throw new Error(`[${shape.join(', ')}] has no axis ${axis}`);
  return [elementCount(shape.slice(0, axis)), size, elementCount(shape.slice(axis + 1))];
}

/** Counts of elements as counts of 32-bit words: halves lie two to a word, and are copied by whole words only. */
function inWords<T extends readonly number[]>(type: TensorType, what: string, counts: T): T {
  const words = counts.map((count) => count / (type === 'f16' ? 2 : 1));
  if (!words.every(Number.isInteger)) throw new Error(`${what} is not aligned to 32-bit words`);
  return words as unknown as T;
}

interface Span {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
}

const sliceOp: Op<{ inputs: [x: Tensor]; attributes: Span }> = {
  name: 'slice',
  types: anyType,
  forward: ([x], { attributes }) => sliceOf(x, attributes),
  gradient(dy, { attributes: { axis, from, to }, shapes: [shape] }) {
    const [rows, size, inner] = around(shape, axis);
    const dx = Tensor.empty(dy.gpu, shape);
    fill(dy.gpu, dx.buffer, dx.size, 0);
    const width = (to - from) * inner;
    const block = { rows, width, xStride: width, xAt: 0, outStride: size * inner, outAt: from * inner };
    copyBlock(dy.gpu, dy.buffer, dx.buffer, block);
    return [dx];
  },
};

function sliceOf(x: Tensor, { axis, from, to }: Span): Tensor {
  const [rows, size, inner] = around(x.shape, axis);
  const what = `slice ${from}..${to} of axis ${axis} of halves [${x.shape.join(', ')}]`;
  const counts = [(to - from) * inner, size * inner, from * inner] as const;
  const [width, xStride, xAt] = inWords(x.type, what, counts);
  const out = Tensor.empty(x.gpu, x.shape.with(axis, to - from), x.type);
  copyBlock(x.gpu, x.buffer, out.buffer, { rows, width, xStride, xAt, outStride: width, outAt: 0 });
  return out;
}

/** Elements `from` (inclusive) to `to` (exclusive) along an axis. */
export function slice(x: Tensor, axis: number, from: number, to: number): Tensor {
  const size = x.shape[axis] ?? 0;
  if (from < 0 || to > size || from >= to)
    throw new Error(`slice ${from}..${to} of axis ${axis} of [${x.shape.join(', ')}]`);
  return apply(sliceOp, [x], { axis, from, to });
}

const concatOp: Op<{ inputs: readonly Tensor[]; attributes: { axis: number; total: number } }> = {
  name: 'concat',
  types: anyType,
  forward(inputs, { attributes: { axis, total } }) {
    const [{ gpu, shape, type }] = inputs as readonly [Tensor];
    const out = Tensor.empty(gpu, shape.with(axis, total), type);
    let at = 0;
    for (const input of inputs) {
      const [rows, size, inner] = around(input.shape, axis);
      const what = `concat of halves [${input.shape.join(', ')}] along axis ${axis}`;
      const counts = [size * inner, total * inner, at * inner] as const;
      const [width, outStride, outAt] = inWords(type, what, counts);
      copyBlock(gpu, input.buffer, out.buffer, { rows, width, xStride: width, xAt: 0, outStride, outAt });
      at += size;
    }
    return out;
  },
  gradient(dy, { needs, shapes, attributes: { axis } }) {
    let at = 0;
    return shapes.map((shape, i) => {
      const from = at;
      at += shape[axis] ?? 0;
      return needs[i] ? sliceOf(dy, { axis, from, to: at }) : null;
    });
  },
};

/** Tensors one after the other along an axis; their other sizes and their types are equal. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (!first) throw new Error('concat of no tensors');
  const others = ({ shape, type }: Tensor) => `${type} [${shape.with(axis, 0).join(', ')}]`;
  for (const tensor of tensors)
    if (others(tensor) !== others(first))
      throw new Error(`concat along axis ${axis}: ${others(tensor)} does not fit ${others(first)}`);
  const total = tensors.reduce((sum, tensor) => sum + tensor.dim(axis), 0);
  return apply(concatOp, tensors, { axis, total });
}

const expandOp: Op<{ inputs: [x: Tensor]; attributes: { count: number } }> = {
  name: 'expand',
  types: anyType,
  forward([x], { attributes: { count } }) {
    const out = Tensor.empty(x.gpu, [count, ...x.shape], x.type);
    const [width] = inWords(x.type, `expand of halves [${x.shape.join(', ')}]`, [x.size] as const);
    const block = { rows: count, width, xStride: 0, xAt: 0, outStride: width, outAt: 0 };
    copyBlock(out.gpu, x.buffer, out.buffer, block);
    return out;
  },
  gradient(dy, { attributes: { count }, shapes: [shape] }) {
    const dx = Tensor.empty(dy.gpu, shape);
    columnSum(dy.gpu, { x: dy.buffer, out: dx.buffer, rows: count, width: dx.size });
    return [dx];
  },
};

/** `count` copies of x along a new first axis. */
export function expand(x: Tensor, count: number): Tensor {
  return apply(expandOp, [x], { count });
}

const permuteOp: Op<{ inputs: [x: Tensor]; attributes: { order: readonly number[] } }> = {
  name: 'permute',
  types: [['f32', 'u32']],
  forward: ([x], { attributes: { order } }) => permuted(x, order),
  gradient: (dy, { attributes: { order } }) => [
    permuted(
      dy,
      Array.from(order, (_, axis) => order.indexOf(axis)),
    ),
  ],
};

function permuted(x: Tensor, order: readonly number[]): Tensor {
  const shape = order.map((axis) => x.dim(axis));
  const out = Tensor.empty(x.gpu, shape, x.type);
  permuteWords(x.gpu, x.buffer, out.buffer, x.shape, order);
  return out;
}

/** The axes in another order: axis k of the result is axis order[k] of x. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  if ([...order].sort((a, b) => a - b).join() !== x.shape.map((_, axis) => axis).join())
    throw new Error(`[${order.join(', ')}] is not a permutation of the axes of [${x.shape.join(', ')}]`);
  return apply(permuteOp, [x], { order });
}

/** The last two axes exchanged. */
export function transpose(x: Tensor): Tensor {
  const last = x.shape.length - 1;
  if (last < 1) throw new Error(`transpose of [${x.shape.join(', ')}]: it has fewer than two axes`);
  return permute(
    x,
    x.shape.map((_, axis) => (axis < last - 1 ? axis : axis === last ? last - 1 : last)),
  );
}
