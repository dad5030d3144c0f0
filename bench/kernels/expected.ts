/** What a task must give, by its definition in float64 on the CPU: for some of the outputs' elements where all would take minutes. */
import { maxError } from '../../src/common/compare.ts';
import { referenceAttention } from '../../src/reference/attention.ts';
import { byRows, layerNormRow, softmaxRow, softmaxRowBackward } from '../../src/reference/rows.ts';
import type { AttentionTask, BlockTask, Inputs, MatmulTask, RowTask, Task } from './tasks.ts';

/** Elements of one output. */
export interface Sample {
  readonly at: Uint32Array;
  readonly values: Float64Array;
}

/** One sample an output: the result, and with `gradient` the gradients after it. */
export function expectedOf(task: Task, inputs: Inputs): Sample[] {
  switch (task.kind) {
    case 'matmul':
      return [matmul(task, inputs)];
    case 'softmax':
    case 'layerNorm':
      return rowWise(task, inputs);
    case 'attention':
      return attention(task, inputs);
    case 'block':
      return block(task, inputs);
  }
}

/** The largest of the outputs' errors, each as {@link maxError} has it. */
export function sampleError(outputs: readonly Float32Array[], samples: readonly Sample[]): number {
  if (outputs.length !== samples.length) return Number.POSITIVE_INFINITY;
  const errors = samples.map(({ at, values }, i) =>
    maxError(
      Float32Array.from(at, (index) => outputs[i]?.[index] ?? Number.NaN),
      values,
    ),
  );
  return Math.max(...errors);
}

const range = (begin: number, count: number) => Uint32Array.from({ length: count }, (_, i) => begin + i);

/** 500 elements, the last row and column among them. */
function matmul({ m, k, n }: MatmulTask, { a, b }: Inputs): Sample {
  const at = Uint32Array.from({ length: 500 }, (_, sample) => {
    const i = sample < 20 ? m - 1 : (sample * 7919) % m;
    return i * n + (sample % 7 === 0 ? n - 1 : (sample * 104729) % n);
  });
  const values = Float64Array.from(at, (index) => {
    const [i, j] = [Math.floor(index / n), index % n];
    let sum = 0;
    for (let q = 0; q < k; q++) sum += a![i * k + q]! * b![q * n + j]!;
    return sum;
  });
  return { at, values };
}

/** 200 rows from the first to the last. */
function rowWise(task: RowTask, { x, weight, bias, dy }: Inputs): Sample[] {
  const { kind, rows, width, gradient } = task;
  const chosen = Array.from({ length: 200 }, (_, i) => Math.floor((i * (rows - 1)) / 199));
  const at = Uint32Array.from(chosen.flatMap((row) => [...range(row * width, width)]));
  const y = new Float64Array(at.length);
  const dx = new Float64Array(at.length);
  for (const [i, row] of chosen.entries()) {
    const slice = (data: Float32Array | undefined) =>
      Float64Array.from(data!.subarray(row * width, (row + 1) * width));
    const part = (data: Float64Array) => data.subarray(i * width, (i + 1) * width);
    if (kind === 'layerNorm') {
      const expected = layerNormRow(slice(x), { gamma: weight!, beta: bias!, dy: slice(dy) });
      part(y).set(expected.y);
      part(dx).set(expected.dx);
    } else {
      part(y).set(softmaxRow(slice(x)));
      part(dx).set(softmaxRowBackward(part(y), slice(dy)));
    }
  }
  return [y, ...(gradient ? [dx] : [])].map((values) => ({ at, values }));
}

/** The last batch entry. */
function attention(task: AttentionTask, { q, k, v, dy }: Inputs): Sample[] {
  const { batch, tokens, heads, headDim, causal, gradient } = task;
  const size = tokens * heads * headDim;
  const last = (data: Float32Array | undefined) => data!.subarray((batch - 1) * size);
  const { out, dq, dk, dv } = referenceAttention({
    batch: 1,
    queries: tokens,
    keys: tokens,
    heads,
    headDim,
    end: undefined,
    mask: causal ? 'causal' : 'none',
    q: last(q),
    k: last(k),
    v: last(v),
    dOut: last(dy),
  });
  const at = range((batch - 1) * size, size);
  return [out, ...(gradient ? [dq, dk, dv] : [])].map((values) => ({ at, values }));
}

/** With a gradient every batch entry, for the packed form is made of them all; else the last. */
function block(task: BlockTask, inputs: Inputs): Sample[] {
  const { batch, tokens, width, gradient } = task;
  const size = tokens * width;
  const first = gradient ? 0 : batch - 1;
  const at = range(first * size, (batch - first) * size);
  const results = Array.from({ length: batch - first }, (_, i) => blockEntry(task, inputs, first + i));
  const joined = (part: 'y' | 'dx') => {
    const values = new Float64Array(at.length);
    for (const [i, result] of results.entries()) values.set(result[part], i * size);
    return { at, values };
  };
  return [joined('y'), ...(gradient ? [joined('dx')] : [])];
}

/** One batch entry through a block and back, layer by layer. */
function blockEntry(task: BlockTask, inputs: Inputs, entry: number) {
  const { tokens, width, heads, causal, gradient } = task;
  const size = tokens * width;
  const part = (data: Float32Array) => Float64Array.from(data.subarray(entry * size, (entry + 1) * size));
  const x = part(inputs.x!);
  const dy = part(inputs.dy!);
  const rowOf = (data: Float64Array, row: number) => data.subarray(row * width, (row + 1) * width);
  const affine = (name: string) => ({ gamma: inputs[`${name}Weight`]!, beta: inputs[`${name}Bias`]! });
  const norm = (input: Float64Array, name: string) =>
    byRows(input, width, (row) => layerNormRow(row, affine(name)).y);
  const normGradient = (input: Float64Array, upstream: Float64Array, name: string) =>
    byRows(input, width, (row, i) => layerNormRow(row, { ...affine(name), dy: rowOf(upstream, i) }).dx);
  const dense = (input: Float64Array, name: string) =>
    product(input, inputs[`${name}Weight`]!, tokens, inputs[`${name}Bias`]!);
  const denseGradient = (upstream: Float64Array, name: string) => {
    const weight = inputs[`${name}Weight`]!;
    return product(upstream, transposed(weight, upstream.length / tokens), tokens);
  };
  const sum = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]!);

  const qkv = dense(norm(x, 'ln1'), 'in');
  const third = (number: number) => {
    const values = new Float32Array(size);
    for (let row = 0; row < tokens; row++)
      values.set(qkv.subarray((3 * row + number) * width, (3 * row + number + 1) * width), row * width);
    return values;
  };
  const attend = (dOut: Float64Array) =>
    referenceAttention({
      batch: 1,
      queries: tokens,
      keys: tokens,
      heads,
      headDim: width / heads,
      end: undefined,
      mask: causal ? 'causal' : 'none',
      q: third(0),
      k: third(1),
      v: third(2),
      dOut: Float32Array.from(dOut),
    });
  const middle = sum(x, dense(attend(new Float64Array(size)).out, 'out'));
  const hidden = dense(norm(middle, 'ln2'), 'fc');
  const sigmoid = hidden.map((value) => 1 / (1 + Math.exp(-1.702 * value)));
  const y = sum(
    middle,
    dense(
      hidden.map((value, i) => value * sigmoid[i]!),
      'proj',
    ),
  );
  if (!gradient) return { y, dx: dy };

  const dActive = denseGradient(dy, 'proj');
  const dHidden = dActive.map((value, i) => {
    const s = sigmoid[i]!;
    return value * (s + hidden[i]! * 1.702 * s * (1 - s));
  });
  const dMiddle = sum(dy, normGradient(middle, denseGradient(dHidden, 'fc'), 'ln2'));
  const { dq, dk, dv } = attend(denseGradient(dMiddle, 'out'));
  const dqkv = new Float64Array(3 * size);
  for (const [number, values] of [dq, dk, dv].entries())
    for (let row = 0; row < tokens; row++) dqkv.set(rowOf(values, row), (3 * row + number) * width);
  return { y, dx: sum(dMiddle, normGradient(x, denseGradient(dqkv, 'in'), 'ln1')) };
}

/** a [rows, k] · b [k, n] + bias, a row of b at a time. */
function product(a: Float64Array, b: Float32Array, rows: number, bias?: Float32Array): Float64Array {
  const k = a.length / rows;
  const n = b.length / k;
  const out = new Float64Array(rows * n);
  for (let i = 0; i < rows; i++) {
    const row = out.subarray(i * n, (i + 1) * n);
    if (bias) row.set(bias);
    for (let q = 0; q < k; q++) {
      const value = a[i * k + q]!;
      const from = q * n;
      for (let j = 0; j < n; j++) row[j]! += value * b[from + j]!;
    }
  }
  return out;
}

/** [rows, columns] → [columns, rows]. */
export function transposed(data: Float32Array, columns: number): Float32Array {
  const rows = data.length / columns;
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return out;
}
