import { philox } from '../common/random.ts';
import { elementCount } from '../common/shape.ts';
import type { UnaryName } from '../kernels/unary.ts';
import { referenceAttention } from '../reference/attention.ts';
import { referenceMatmul } from '../reference/matmul.ts';
import { byRows, layerNormRow, sumOf } from '../reference/rows.ts';
import { activate } from '../reference/unary.ts';

/** Values on the host, with their shape. */
export interface Host {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** An op to be computed in float64, of the float32 values that it had. */
export interface ExactCall {
  readonly name: string;
  readonly attributes: unknown;
  readonly inputs: readonly (Host | null)[];
  /** The gradient of the output, where that of input `wanted` is asked for. */
  readonly dy: Host | null;
  readonly wanted: number;
  /** What other uses had gathered of that gradient, which the op adds. */
  readonly gathered: Host | null;
}

type Values = Float64Array;

/** What an op makes by its definition, in float64; null for an op that has no form here. */
export function exact(call: ExactCall): Values | null {
  const form = forms[call.name];
  return form ? form(call) : null;
}

const filled = (count: number, value: (i: number) => number): Values => {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = value(i);
  return out;
};
const lastOf = ({ shape }: Host) => shape.at(-1) ?? 1;
/** A row of a matrix. */
const rowOf = (x: Host, row: number) => filled(lastOf(x), (i) => x.data[row * lastOf(x) + i]!);

const elementwise =
  (kind: UnaryName) =>
  ({ inputs: [x], dy }: ExactCall): Values =>
    filled(x!.data.length, (i) =>
      dy ? dy.data[i]! * slope(kind, x!.data[i]!) : activate(kind, x!.data[i]!),
    );

/** The derivative, by a central difference in float64: good to ten digits. ReLU's is exact. */
function slope(kind: UnaryName, x: number): number {
  if (kind === 'none') return 1;
  if (kind === 'relu') return Number(x > 0);
  const h = 1e-5 * Math.max(1, Math.abs(x));
  return (activate(kind, x + h) - activate(kind, x - h)) / (2 * h);
}

function linear({ inputs: [x, w, bias, residual], attributes, dy, wanted }: ExactCall): Values | null {
  const { activation } = attributes as { activation: UnaryName };
  const [n, k] = w!.shape as [number, number];
  const m = x!.data.length / k;
  if (dy && wanted === 3) return Float64Array.from(dy.data);
  const needsZ = !dy || activation !== 'none';
  const z = needsZ ? referenceMatmul(x!.data, w!.data, { m, n, k, transposeB: true }) : null;
  if (z && bias) for (let i = 0; i < z.length; i++) z[i]! += bias.data[i % n]!;
  if (!dy) return filled(m * n, (i) => activate(activation, z![i]!) + (residual?.data[i] ?? 0));
  const dz = filled(m * n, (i) => dy.data[i]! * (z ? slope(activation, z[i]!) : 1));
  if (wanted === 0) return referenceMatmul(dz, w!.data, { m, n: k, k: n });
  if (wanted === 1) return referenceMatmul(dz, x!.data, { m: n, n: k, k: m, transposeA: true });
  return filled(n, (column) => {
    let sum = 0;
    for (let row = 0; row < m; row++) sum += dz[row * n + column]!;
    return sum;
  });
}

function layerNorm({ inputs: [x, gamma, beta], attributes, dy, wanted, gathered }: ExactCall): Values | null {
  if (dy && wanted !== 0) return null;
  const { eps } = attributes as { eps: number };
  const width = lastOf(x!);
  const [gammas, betas] = [gamma?.data ?? null, beta?.data ?? null];
  return byRows(x!.data, width, (row, at) => {
    if (!dy) return layerNormRow(row, { gamma: gammas, beta: betas, eps }).y;
    const { dx } = layerNormRow(row, { gamma: gammas, eps, dy: rowOf(dy, at) });
    return dx.map((value, i) => value + (gathered?.data[at * width + i] ?? 0));
  });
}

function l2Normalize({ inputs: [x], attributes, dy }: ExactCall): Values {
  const { eps } = attributes as { eps: number };
  const width = lastOf(x!);
  return byRows(x!.data, width, (row, at) => {
    const length = Math.sqrt(sumOf(row.map((value) => value * value)));
    const n = 1 / Math.max(length, eps);
    if (!dy) return row.map((value) => value * n);
    const gradient = rowOf(dy, at);
    const along = sumOf(row.map((value, i) => value * gradient[i]!)) * n * n;
    return row.map((value, i) => n * (gradient[i]! - (length < eps ? 0 : value * along)));
  });
}

function attention({ inputs: [qkv, end], attributes, dy }: ExactCall): Values {
  const sizes = attributes as {
    batch: number;
    queries: number;
    keys: number;
    heads: number;
    headDim: number;
    mask: 'none' | 'causal' | 'tree';
  };
  const width = sizes.heads * sizes.headDim;
  const rows = sizes.batch * sizes.queries;
  const third = (i: number) =>
    Float32Array.from(
      { length: rows * width },
      (_, at) => qkv!.data[Math.floor(at / width) * 3 * width + i * width + (at % width)]!,
    );
  const found = referenceAttention({
    ...sizes,
    end: end ? Uint32Array.from(end.data) : undefined,
    q: third(0),
    k: third(1),
    v: third(2),
    dOut: dy ? Float32Array.from(dy.data) : new Float32Array(rows * width),
  });
  if (!dy) return found.out;
  const parts = [found.dq, found.dk, found.dv];
  return filled(rows * 3 * width, (at) => {
    const column = at % (3 * width);
    return parts[Math.floor(column / width)]![Math.floor(at / (3 * width)) * width + (column % width)]!;
  });
}

function matmul({ inputs: [a, b], attributes, dy, wanted }: ExactCall): Values | null {
  const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
  if (a!.shape.length !== 2 || transposeA || (dy && wanted !== 0)) return null;
  const [m, k] = a!.shape as [number, number];
  const n = b!.shape[transposeB ? 0 : 1]!;
  return dy
    ? referenceMatmul(dy.data, b!.data, { m, n: k, k: n, transposeB: !transposeB })
    : referenceMatmul(a!.data, b!.data, { m, n, k, transposeB });
}

const additive =
  (sign: 1 | -1) =>
  ({ inputs: [a, b], dy, wanted }: ExactCall): Values => {
    const [x, y] = [a!.data, b!.data];
    if (!dy) return filled(Math.max(x.length, y.length), (i) => x[i % x.length]! + sign * y[i % y.length]!);
    const size = (wanted === 0 ? x : y).length;
    const out = new Float64Array(size);
    for (let i = 0; i < dy.data.length; i++) out[i % size]! += (wanted === 0 ? 1 : sign) * dy.data[i]!;
    return out;
  };

function gatherRows({ inputs: [table, indices, base], dy }: ExactCall): Values {
  const width = lastOf(table!);
  const at = (i: number) => indices!.data[Math.floor(i / width)]! * width + (i % width);
  if (!dy)
    return filled(
      indices!.data.length * width,
      (i) => (table!.data[at(i)] ?? (base ? 0 : Number.NaN)) + (base?.data[i] ?? 0),
    );
  const out = new Float64Array(table!.data.length);
  for (let i = 0; i < dy.data.length; i++) if (at(i) < out.length) out[at(i)]! += dy.data[i]!;
  return out;
}

/** Where the elements of input `number` stand in what concat makes. */
function concat({ inputs, attributes, dy, wanted }: ExactCall): Values {
  const { axis } = attributes as { axis: number };
  const widths = inputs.map((input) => elementCount(input!.shape.slice(axis)));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const place = (number: number, i: number) =>
    Math.floor(i / widths[number]!) * total +
    widths.slice(0, number).reduce((sum, width) => sum + width, 0) +
    (i % widths[number]!);
  if (dy) return filled(inputs[wanted]!.data.length, (i) => dy.data[place(wanted, i)]!);
  const out = new Float64Array(inputs.reduce((sum, input) => sum + input!.data.length, 0));
  for (const [number, input] of inputs.entries())
    for (let i = 0; i < input!.data.length; i++) out[place(number, i)] = input!.data[i]!;
  return out;
}

function expand({ inputs: [x], attributes, dy }: ExactCall): Values {
  const { count } = attributes as { count: number };
  const size = x!.data.length;
  if (!dy) return filled(count * size, (i) => x!.data[i % size]!);
  const out = new Float64Array(size);
  for (let i = 0; i < dy.data.length; i++) out[i % size]! += dy.data[i]!;
  return out;
}

function dropout({
  inputs: [x, seed],
  attributes,
  dy,
}: Pick<ExactCall, 'inputs' | 'attributes' | 'dy'>): Values {
  const { p, stream } = attributes as { p: number; stream: number };
  const threshold = Math.floor(p * 2 ** 32);
  let [quad, words] = [-1, [0, 0, 0, 0] as readonly number[]];
  const source = (dy ?? x)!.data;
  return filled(source.length, (i) => {
    if (quad !== i >> 2) {
      quad = i >> 2;
      words = philox([quad, seed!.data[1]!, stream, 0], [seed!.data[0]!, 0]);
    }
    return words[i % 4]! < threshold ? 0 : source[i]! / (1 - p);
  });
}

/** By the repeated row where that is wanted, else by x. */
function joinRepeated({ inputs: [x, repeated, seed], attributes, dy, wanted }: ExactCall): Values {
  const own = lastOf(x!);
  const width = own + repeated!.data.length;
  const rows = x!.data.length / own;
  const column = (i: number) => i % width;
  const joined = dy
    ? dy.data
    : filled(rows * width, (i) =>
        column(i) < own
          ? x!.data[Math.floor(i / width) * own + column(i)]!
          : repeated!.data[column(i) - own]!,
      );
  const whole = { shape: [rows, width], data: joined };
  const kept = seed ? dropout({ inputs: [whole, seed], attributes, dy: null }) : joined;
  if (!dy) return Float64Array.from(kept);
  if (wanted !== 1) return filled(rows * own, (i) => kept[Math.floor(i / own) * width + (i % own)]!);
  const sums = new Float64Array(width - own);
  for (let i = 0; i < kept.length; i++) if (column(i) >= own) sums[column(i) - own]! += kept[i]!;
  return sums;
}

function mseLoss({ inputs: [x, t], dy }: ExactCall): Values {
  const count = x!.data.length;
  if (dy) return filled(count, (i) => ((dy.data[0]! * 2) / count) * (x!.data[i]! - t!.data[i]!));
  return Float64Array.of(sumOf(filled(count, (i) => (x!.data[i]! - t!.data[i]!) ** 2)) / count);
}

const same = ({ inputs: [x], dy }: ExactCall): Values => Float64Array.from((dy ?? x!).data);

const forms: Readonly<Record<string, (call: ExactCall) => Values | null>> = {
  linear,
  layerNorm,
  l2Normalize,
  attention,
  matmul,
  gatherRows,
  concat,
  expand,
  dropout,
  joinRepeated,
  mseLoss,
  add: additive(1),
  subtract: additive(-1),
  reshape: same,
  relu: elementwise('relu'),
  tanh: elementwise('tanh'),
  quickGelu: elementwise('quick_gelu'),
  gelu: elementwise('gelu'),
};
