import { type ActivationName, activationGradient } from '../../kernels/activation.ts';
import { matmul } from '../../kernels/matmul/index.ts';
import { sumRows } from '../../kernels/rows/reduce.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** What is fused into the product. */
export interface LinearOptions {
  readonly activation?: ActivationName;
  /** Added after the activation, in the output's shape. */
  readonly residual?: Tensor | null;
}

/** Which of the optional inputs are given; they follow x and the weight in this order. */
interface LinearAttributes {
  /** Of x. */
  readonly shape: readonly number[];
  readonly activation: ActivationName;
  readonly bias: boolean;
  readonly residual: boolean;
}

const linearOp: Op<LinearAttributes> = {
  name: 'linear',
  types: [['f32'], ['f32', 'f16'], ['f32']],

  forward(inputs, { activation, bias, residual }, context) {
    const [x, weight] = inputs as [Tensor, Tensor];
    const k = x.dim(-1);
    const n = weight.dim(0);
    const shape = [...x.shape.slice(0, -1), n];
    const out = Tensor.empty(x.gpu, shape);
    const residualAt = bias ? 3 : 2;
    // The activation's gradient is wanted only where something before it is; ReLU's can be read off the output.
    const differentiated = activation !== 'none' && context.needs.slice(0, residualAt).includes(true);
    const fromOutput = activation === 'relu' && !residual;
    const preactivation = differentiated && !fromOutput ? Tensor.empty(x.gpu, shape) : undefined;
    matmul(x.gpu, {
      a: x.buffer,
      b: weight.operand,
      out: out.buffer,
      m: x.size / k,
      n,
      k,
      transposeB: true,
      bType: weight.type === 'f16' ? 'f16' : 'f32',
      bias: bias ? inputs[2]!.buffer : null,
      residual: residual ? inputs[residualAt]!.buffer : null,
      activation,
      preactivation: preactivation?.buffer ?? null,
    });
    // What a frozen weight's or a frozen input's gradient would read is not kept.
    const [needsX, needsWeight] = context.needs;
    context.save(
      ...(needsWeight ? [x] : []),
      ...(needsX ? [weight] : []),
      ...(differentiated ? [preactivation ?? out] : []),
    );
    preactivation?.dispose();
    return out;
  },

  // y = act(z) + r, z = x·Wᵀ + b: dz = dy·act'(z); dx = dz·W; dW = dzᵀ·x; db = sum of dz over its rows; dr = dy.
  gradient(dy, { saved, needs, attributes: { activation, bias, residual, shape } }) {
    const rest = [...saved];
    const x = needs[1] ? rest.shift()! : null;
    const weight = needs[0] ? rest.shift()! : null;
    const z = rest.shift();
    const { gpu } = dy;
    const k = shape.at(-1)!;
    const n = dy.dim(-1);
    const m = dy.size / n;
    let dz = dy;
    if (z) {
      dz = Tensor.empty(gpu, dy.shape);
      activationGradient(gpu, activation, z.buffer, dy.buffer, dz.buffer, dz.size);
    }
    const dx = weight && Tensor.empty(gpu, shape);
    if (dx)
      matmul(gpu, {
        a: dz.buffer,
        b: weight!.operand,
        out: dx.buffer,
        m,
        n: k,
        k: n,
        bType: weight!.type === 'f16' ? 'f16' : 'f32',
      });
    const dWeight = x && Tensor.empty(gpu, [n, k]);
    if (dWeight)
      matmul(gpu, { a: dz.buffer, b: x!.buffer, out: dWeight.buffer, m: n, n: k, k: m, transposeA: true });
    const dBias = bias && needs[2] ? Tensor.empty(gpu, [n]) : null;
    if (dBias) sumRows(gpu, dz.buffer, dBias.buffer, m, n);
    return [dx, dWeight, ...(bias ? [dBias] : []), ...(residual ? [dy] : [])];
  },
};

/**
 * act(x·weightᵀ + bias) + residual in one kernel: x [..., K], weight [N, K] (f32, or f16 where it is frozen),
 * bias [N] → [..., N].
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null, options: LinearOptions = {}): Tensor {
  const { activation = 'none', residual = null } = options;
  const [n, k] = weight.shape;
  if (weight.shape.length !== 2 || x.dim(-1) !== k)
    throw new Error(`linear: x [${x.shape.join(', ')}] does not fit a weight [${weight.shape.join(', ')}]`);
  if (bias && bias.size !== n) throw new Error(`linear: a bias of ${bias.size} for ${n} outputs`);
  if (residual && residual.size !== (x.size / k) * n!)
    throw new Error(`linear: a residual [${residual.shape.join(', ')}] for ${(x.size / k) * n!} outputs`);
  const inputs = [x, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  return apply(linearOp, inputs, {
    shape: x.shape,
    activation,
    bias: bias !== null,
    residual: residual !== null,
  });
}
