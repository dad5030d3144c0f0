import { named } from '../autograd/names.ts';
import { add, multiply } from '../autograd/ops/arithmetic.ts';
import { dropout } from '../autograd/ops/dropout.ts';
import { linear } from '../autograd/ops/linear.ts';
import { mean, sum } from '../autograd/ops/reduce.ts';
import { reshape, slice } from '../autograd/ops/shape.ts';
import { sigmoid } from '../autograd/ops/unary.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { streams, uniforms } from '../common/random.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

/** A head's tensors as the published model names them: `nn.Sequential(Dropout, Linear, ReLU, Dropout, Linear)`. */
export const headNames = ['1.weight', '1.bias', '4.weight', '4.bias'] as const;
export type HeadName = (typeof headNames)[number];
export type HeadValues = Readonly<Record<HeadName, HostTensor>>;

/** What the hidden layer does: max(x, 0) as published, σ(x), or x · σ(gate), a gate for each x behind them all (Dauphin et al., arXiv 1612.08083). */
export const headKinds = ['relu', 'sigmoid', 'gated'] as const;
export type HeadKind = (typeof headKinds)[number];

/** A head of the values that `pick` gives for each of its names. */
export function headOf(pick: (name: HeadName) => HostTensor): HeadValues {
  return Object.fromEntries(headNames.map((name) => [name, pick(name)])) as Record<HeadName, HostTensor>;
}

/** As {@link headOf}, of values that take a read each. */
export async function readHead(read: (name: HeadName) => Promise<HostTensor>): Promise<HeadValues> {
  const values = {} as Record<HeadName, HostTensor>;
  for (const name of headNames) values[name] = await read(name);
  return values;
}

/** The first tensor that does not fit the hidden width and the inputs that `1.weight` has, with the shape it should have. */
export function misshapenTensor(
  values: HeadValues,
  kind: HeadKind = 'relu',
): { name: HeadName; expected: readonly number[] } | null {
  const [rows = 0, input = 0] = values['1.weight'].shape;
  const members = Math.max(1, values['4.weight'].shape[0] ?? 0);
  const hidden = Math.max(1, Math.ceil(rows / members / (kind === 'gated' ? 2 : 1)));
  const outputs = members * hidden * (kind === 'gated' ? 2 : 1);
  const expected: Record<HeadName, readonly number[]> = {
    '1.weight': [outputs, input],
    '1.bias': [outputs],
    '4.weight': [members, hidden],
    '4.bias': [members],
  };
  const name = headNames.find(
    (candidate) =>
      values[candidate].data.length === 0 || values[candidate].shape.join() !== expected[candidate].join(),
  );
  return name ? { name, expected: expected[name] } : null;
}

export interface DropoutState {
  /** Probability of dropping an element. */
  readonly p: number;
  /** That before the first layer, where it is another one. */
  readonly inputP?: number | undefined;
  /** u32 [2]: the seed and the step, so that every step draws a new mask. */
  readonly seed: Tensor;
}

/** Dropout → Linear(input, hidden) → ReLU (or another {@link HeadKind}) → Dropout → Linear(hidden, 1): features to one score. */
export class RegressionHead {
  readonly parameters: ReadonlyMap<HeadName, Tensor>;
  readonly kind: HeadKind;

  constructor(gpu: Gpu, values: HeadValues, kind: HeadKind = 'relu') {
    this.kind = kind;
    const wrong = misshapenTensor(values, kind);
    if (wrong)
      throw new UserError(
        `head tensor ${wrong.name} is [${values[wrong.name].shape.join(', ')}], expected [${wrong.expected.join(', ')}]`,
      );
    const make = (name: HeadName) =>
      keep(Tensor.from(gpu, values[name].data, values[name].shape, `head.${name}`));
    this.parameters = allOrNone(() => new Map(headNames.map((name) => [name, make(name)])));
  }

  /**
   * x [B, input] → scores [B], of an ensemble the mean of its members'; dropout only in training, and of the input only where that
   * was not `inputDropped` before.
   */
  forward(x: Tensor, training?: DropoutState, { inputDropped = false } = {}): Tensor {
    return scope(() => {
      const scores = this.members(x, training, { inputDropped });
      return scores.dim(1) === 1 ? reshape(scores, [x.dim(0)]) : mean(scores, -1);
    });
  }

  /** x [B, input] → the score of each member of an ensemble [B, members]; a head that was trained alone is its only one. */
  members(x: Tensor, training?: DropoutState, { inputDropped = false } = {}): Tensor {
    return inHead(() => {
      const drop = (t: Tensor, place: string, stream: number, p = training?.p ?? 0) =>
        training && p > 0 ? named(place, () => dropout(t, p, { seed: training.seed, stream })) : t;
      const p = (name: HeadName) => getOrThrow(this.parameters, name);
      const input = inputDropped ? x : drop(x, '0', streams.inputDropout, training?.inputP);
      const hidden = named('1', () => hiddenLayer(this.kind, input, p('1.weight'), p('1.bias')));
      const dropped = drop(hidden, '3', streams.hiddenDropout);
      return named('4', () => outputLayer(dropped, p('4.weight'), p('4.bias')));
    });
  }
}

/** The hidden layer, [B, input] → [B, hidden]. */
export function hiddenLayer(kind: HeadKind, x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  if (kind !== 'gated') return linear(x, weight, bias, { activation: kind });
  return scope(() => {
    const both = linear(x, weight, bias);
    const half = both.dim(1) / 2;
    return multiply(slice(both, 1, 0, half), sigmoid(slice(both, 1, half, 2 * half)));
  });
}

/** The output layer, [B, members · hidden] → [B, members]: each member reads its own part of the hidden layer. */
function outputLayer(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [members, hidden] = weight.shape as [number, number];
  if (members === 1) return linear(x, weight, bias);
  const products = multiply(x, reshape(weight, [weight.size]));
  const sums = sum(reshape(products, [x.dim(0) * members, hidden]), -1);
  return add(reshape(sums, [x.dim(0), members]), bias);
}

const inHead = (body: () => Tensor) => named('head', () => scope(body));

/** PyTorch's default for nn.Linear: weights and biases uniform within ±1/sqrt(inputs). */
export function initialHead(
  input: number,
  hidden: number,
  seed: number,
  kind: HeadKind = 'relu',
): HeadValues {
  const outputs = kind === 'gated' ? 2 * hidden : hidden;
  const layer = (count: number, fanIn: number, stream: number) =>
    Float32Array.from(uniforms(count, seed, stream), (draw) => (2 * draw - 1) / Math.sqrt(fanIn));
  return {
    '1.weight': { shape: [outputs, input], data: layer(outputs * input, input, streams.hiddenWeight) },
    '1.bias': { shape: [outputs], data: layer(outputs, input, streams.hiddenBias) },
    '4.weight': { shape: [1, hidden], data: layer(hidden, hidden, streams.outputWeight) },
    '4.bias': { shape: [1], data: layer(1, hidden, streams.outputBias) },
  };
}

/** Heads of one shape as one, whose score is the mean of theirs. */
export function ensembleOf(heads: readonly HeadValues[], kind: HeadKind): HeadValues {
  const joined = (name: HeadName, parts: number): HostTensor => {
    const [rows = 0, ...rest] = heads[0]![name].shape;
    const all = new Float32Array(heads.length * heads[0]![name].data.length);
    const part = heads[0]![name].data.length / parts;
    for (let i = 0; i < parts; i++)
      for (const [member, head] of heads.entries())
        all.set(head[name].data.subarray(i * part, (i + 1) * part), (i * heads.length + member) * part);
    return { shape: [rows * heads.length, ...rest], data: all };
  };
  // Gates stand behind all that they let through, of all members.
  const parts = kind === 'gated' ? 2 : 1;
  return {
    '1.weight': joined('1.weight', parts),
    '1.bias': joined('1.bias', parts),
    '4.weight': joined('4.weight', 1),
    '4.bias': joined('4.bias', 1),
  };
}

/** A head's values back on the host. */
export function headValues({ parameters }: RegressionHead): Promise<HeadValues> {
  return readHead(async (name) => {
    const tensor = getOrThrow(parameters, name);
    return { shape: tensor.shape, data: await tensor.read() };
  });
}

/**
 * At inference the text features are constants, so their part of the first layer is a constant too: it goes into the
 * bias, and what remains is a head on the image's feature alone, with the same scores.
 *
 * @param text the L2-normalized text features, [words · E] of the head's input (1 + words) · E
 */
export function foldTextFeatures(head: HeadValues, text: Float32Array): HeadValues {
  const { shape, data } = head['1.weight'];
  const [hidden, input] = shape as [number, number];
  const image = input - text.length;
  const weight = new Float32Array(hidden * image);
  const bias = new Float32Array(hidden);
  for (let row = 0; row < hidden; row++) {
    const values = data.subarray(row * input, (row + 1) * input);
    weight.set(values.subarray(0, image), row * image);
    let sum = head['1.bias'].data[row]!;
    for (let i = 0; i < text.length; i++) sum += values[image + i]! * text[i]!;
    bias[row] = sum;
  }
  return {
    ...head,
    '1.weight': { shape: [hidden, image], data: weight },
    '1.bias': { shape: [hidden], data: bias },
  };
}
