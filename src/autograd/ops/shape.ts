import { fill } from '../../kernels/elementwise.ts';
import { sumRows } from '../../kernels/rows/reduce.ts';
import {
  copyBlock,
  gatherRows as gather,
  permute as permuteWords,
  scatterRows,
} from '../../kernels/shape.ts';
import { apply, type Op } from '../tape.ts';
import { elements, Tensor, type TensorType } from '../tensor.ts';

const gatherOp: Op<{ readonly rows: number }> = {
  name: 'gatherRows',
  types: [['f32', 'f16'], ['u32']],
  forward([table, indices], _attributes, { save }) {
    const width = table!.dim(-1);
    const out = Tensor.empty(table!.gpu, [indices!.size, width]);
    gather(
      table!.gpu,
      table!.buffer,
      indices!.buffer,
      out.buffer,
      indices!.size,
      width,
      table!.type === 'f16',
    );
    save(indices!);
    return out;
  },
  gradient(dy, { saved: [indices], attributes: { rows } }) {
    const width = dy.dim(-1);
    const dtable = Tensor.empty(dy.gpu, [rows, width]);
    scatterRows(dy.gpu, dy.buffer, indices!.buffer, dtable.buffer, indices!.size, width, rows);
    return [dtable, null];
  },
};

/** Rows of a table [rows, width] (float32 or float16) by number, u32 [n] → [n, width]. */
export function gatherRows(table: Tensor, indices: Tensor): Tensor {
  if (table.shape.length !== 2)
    throw new Error(`gatherRows: a table [${table.shape.join(', ')}] has no rows`);
  return apply(gatherOp, [table, indices], { rows: table.dim(0) });
}

const reshapeOp: Op<{ readonly from: readonly number[]; readonly to: readonly number[] }> = {
  name: 'reshape',
  types: [['f32', 'f16', 'u32']],
  forward: ([x], { to }) => x!.view(to),
  gradient: (dy, { attributes: { from } }) => [dy.view(from)],
};

/** The same elements in another shape; shares the storage. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return apply(reshapeOp, [x], { from: x.shape, to: shape });
}

/** Sizes before, of, and after an axis. */
function around(shape: readonly number[], axis: number): [number, number, number] {
  return [elements(shape.slice(0, axis)), shape[axis]!, elements(shape.slice(axis + 1))];
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
  readonly shape: readonly number[];
}

const sliceOp: Op<Span> = {
  name: 'slice',
  types: [['f32', 'f16', 'u32']],
  forward: ([x], { axis, from, to }) => sliceOf(x!, axis, from, to),
  gradient(dy, { attributes: { axis, from, to, shape } }) {
    const [rows, size, inner] = around(shape, axis);
    const dx = Tensor.empty(dy.gpu, shape);
    fill(dy.gpu, dx.buffer, dx.size, 0);
    const width = (to - from) * inner;
    const block = { rows, width, xStride: width, xAt: 0, outStride: size * inner, outAt: from * inner };
    copyBlock(dy.gpu, dy.buffer, dx.buffer, block);
    return [dx];
  },
};

function sliceOf(x: Tensor, axis: number, from: number, to: number): Tensor {
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
  if (from < 0 || to > x.shape[axis]! || from >= to)
    throw new Error(`slice ${from}..${to} of axis ${axis} of [${x.shape.join(', ')}]`);
  return apply(sliceOp, [x], { axis, from, to, shape: x.shape });
}

const concatOp: Op<{ readonly axis: number; readonly sizes: readonly number[] }> = {
  name: 'concat',
  types: [['f32', 'f16', 'u32']],
  forward(inputs, { axis, sizes }) {
    const total = sizes.reduce((a, b) => a + b, 0);
    const { type } = inputs[0]!;
    const out = Tensor.empty(inputs[0]!.gpu, inputs[0]!.shape.with(axis, total), type);
    let at = 0;
    for (const input of inputs) {
      const [rows, size, inner] = around(input.shape, axis);
      const what = `concat of halves [${input.shape.join(', ')}] along axis ${axis}`;
      const counts = [size * inner, total * inner, at * inner] as const;
      const [width, outStride, outAt] = inWords(type, what, counts);
      const block = { rows, width, xStride: width, xAt: 0, outStride, outAt };
      copyBlock(out.gpu, input.buffer, out.buffer, block);
      at += size;
    }
    return out;
  },
  gradient(dy, { needs, attributes: { axis, sizes } }) {
    let at = 0;
    return sizes.map((size, i) => {
      const from = at;
      at += size;
      return needs[i] ? sliceOf(dy, axis, from, at) : null;
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
  return apply(concatOp, tensors, { axis, sizes: tensors.map(({ shape }) => shape[axis]!) });
}

const expandOp: Op<{ readonly count: number }> = {
  name: 'expand',
  types: [['f32', 'f16', 'u32']],
  forward([x], { count }) {
    const out = Tensor.empty(x!.gpu, [count, ...x!.shape], x!.type);
    const [width] = inWords(x!.type, `expand of halves [${x!.shape.join(', ')}]`, [x!.size]);
    const block = { rows: count, width, xStride: 0, xAt: 0, outStride: width, outAt: 0 };
    copyBlock(out.gpu, x!.buffer, out.buffer, block);
    return out;
  },
  gradient(dy, { attributes: { count } }) {
    const dx = Tensor.empty(dy.gpu, dy.shape.slice(1));
    sumRows(dy.gpu, dy.buffer, dx.buffer, count, dx.size);
    return [dx];
  },
};

/** `count` copies of x along a new first axis. */
export function expand(x: Tensor, count: number): Tensor {
  return apply(expandOp, [x], { count });
}

const permuteOp: Op<{ readonly order: readonly number[] }> = {
  name: 'permute',
  types: [['f32', 'f16', 'u32']],
  forward: ([x], { order }) => permuted(x!, order),
  gradient: (dy, { attributes: { order } }) => [
    permuted(
      dy,
      Array.from(order, (_, axis) => order.indexOf(axis)),
    ),
  ],
};

function permuted(x: Tensor, order: readonly number[]): Tensor {
  if (x.type === 'f16') throw new Error('permute takes an f32 or u32 tensor, not f16');
  const out = Tensor.empty(
    x.gpu,
    order.map((axis) => x.shape[axis]!),
    x.type,
  );
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
