import type { GpuBuffer } from '../../kernels/device/buffer-pool.ts';
import { type ActivationInput, matmul, type NormOfA, takesNorm } from '../../kernels/matmul/index.ts';
import { columnSum } from '../../kernels/rows/reduce.ts';
import { type ActivationName, unaryBackward } from '../../kernels/unary.ts';
import { Deferred } from '../deferred.ts';
import { DeferredNorm, DeferredNormGradient } from '../deferred-norm.ts';
import type { Op, Operand } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** What is fused into the product. */
export interface LinearOptions {
  readonly activation?: ActivationName;
  /** Added after the activation, in the output's shape. */
  readonly residual?: Tensor | null;
}

/** dx = dz·W of a linear layer; of `input`, where the layer's input is an activation of it: dx ∘ act'(input). */
function launchInputGradient(
  dz: Tensor,
  weight: Operand,
  dx: GpuBuffer,
  input: ActivationInput | null = null,
): void {
  const [n, k] = weight.shape as [number, number];
  const options = {
    a: dz.place,
    b: weight instanceof Tensor ? weight.buffer : weight,
    out: dx,
    m: dz.size / n,
    n: k,
    k: n,
    bType: weight.type === 'f16' ? ('f16' as const) : ('f32' as const),
    derivative: input,
    norm: null as NormOfA | null,
  };
  const { pending, gpu } = dz;
  if (pending instanceof DeferredNormGradient && takesNorm(gpu, options, 'gradient'))
    dz.settle((normed) => matmul(gpu, Object.assign(options, pending.onTheWay(normed))));
  else matmul(gpu, Object.assign(options, { a: dz.buffer }));
}

/** It, put off: the layer before may have the derivative of its activation applied to it. */
class InputGradient extends Deferred {
  readonly #dz: Tensor;
  readonly #weight: Operand;

  constructor(dz: Tensor, weight: Operand) {
    const held = [dz.view(), weight.view()] as const;
    super(...held);
    [this.#dz, this.#weight] = held;
  }

  compute(out: GpuBuffer): void {
    this.launch(out, null);
  }

  launch(out: GpuBuffer, input: ActivationInput | null): void {
    launchInputGradient(this.#dz, this.#weight, out, input);
  }
}

const linearOp: Op<{
  inputs: [x: Tensor, weight: Operand, bias: Tensor | null, residual: Tensor | null];
  /** z is what the activation's gradient reads: the pre-activation, or the output where that will do. */
  saved: { x: Tensor | null; weight: Operand | null; z: Tensor | null };
  attributes: { activation: ActivationName };
}> = {
  name: 'linear',
  takesDeferred: ({ activation }) => (activation === 'none' ? 'layerNorm' : 'product'),
  types: [['f32'], ['f32', 'f16'], ['f32']],

  forward([x, weight, bias, residual], { attributes: { activation }, needs, save }) {
    const k = x.dim(-1);
    const [n] = weight.shape as [number];
    const shape = [...x.shape.slice(0, -1), n];
    const out = Tensor.empty(x.gpu, shape);
    // The activation's gradient is wanted only where something before it is; ReLU's can be read off the output.
    const differentiated = activation !== 'none' && (needs[0] || needs[1] || needs[2]);
    const fromOutput = activation === 'relu' && !residual;
    const preactivation = differentiated && !fromOutput ? Tensor.empty(x.gpu, shape) : null;
    const options = {
      a: x.place,
      b: weight instanceof Tensor ? weight.buffer : weight,
      out: out.buffer,
      m: x.size / k,
      n,
      k,
      transposeB: true,
      bType: weight.type === 'f16' ? ('f16' as const) : ('f32' as const),
      bias: bias?.buffer ?? null,
      residual: residual?.buffer ?? null,
      activation,
      preactivation: preactivation?.buffer ?? null,
      norm: null as NormOfA | null,
    };
    // A learned weight's gradient reads the rows themselves.
    const onTheWay = x.pending instanceof DeferredNorm && !needs[1] && takesNorm(x.gpu, options, 'rows');
    matmul(x.gpu, Object.assign(options, onTheWay ? (x.pending as DeferredNorm).onTheWay : { a: x.buffer }));
    // What a frozen weight's or a frozen input's gradient would read is not kept.
    save({
      x: needs[1] ? x : null,
      weight: needs[0] ? weight : null,
      z: differentiated ? (preactivation ?? out) : null,
    });
    preactivation?.dispose();
    return out;
  },

  // y = act(z) + r, z = x·Wᵀ + b: dz = dy·act'(z); dx = dz·W; dW = dzᵀ·x; db = sum of dz over its rows; dr = dy.
  gradient(dy, { saved: { x, weight, z }, needs, shapes, attributes: { activation }, defers }) {
    const { gpu } = dy;
    const n = dy.dim(-1);
    const m = dy.size / n;
    let dz = dy;
    if (z) {
      dz = Tensor.empty(gpu, dy.shape);
      const input = { activation, x: z.buffer };
      if (dy.pending instanceof InputGradient && !needs[3]) dy.pending.launch(dz.buffer, input);
      else unaryBackward(gpu, activation, { x: z.buffer, dy: dy.buffer, dx: dz.buffer, size: dz.size });
    }
    let dx: Tensor | null = null;
    if (weight) {
      if (defers(0) === 'product') dx = Tensor.deferred(gpu, shapes[0], new InputGradient(dz, weight));
      else {
        dx = Tensor.empty(gpu, shapes[0]);
        launchInputGradient(dz, weight, dx.buffer);
      }
    }
    const dWeight = x && Tensor.empty(gpu, shapes[1]);
    if (dWeight) {
      const k = dWeight.dim(1);
      matmul(gpu, { a: dz.buffer, b: x.buffer, out: dWeight.buffer, m: n, n: k, k: m, transposeA: true });
    }
    const dBias = needs[2] ? Tensor.empty(gpu, [n]) : null;
    if (dBias) columnSum(gpu, { x: dz.buffer, out: dBias.buffer, rows: m, width: n });
    return [dx, dWeight, dBias, needs[3] ? dy : null];
  },
};

/**
 * act(x·weightᵀ + bias) + residual in one kernel: x [..., K], weight [N, K] (f32; f16 or packed where it is frozen),
 * bias [N] → [..., N].
 */
export function linear(x: Tensor, weight: Operand, bias: Tensor | null, options: LinearOptions = {}): Tensor {
  const { activation = 'none', residual = null } = options;
  const [n = 0, k] = weight.shape;
  if (weight.shape.length !== 2 || x.dim(-1) !== k)
    throw new Error(`linear: x [${x.shape.join(', ')}] does not fit a weight [${weight.shape.join(', ')}]`);
  if (bias && bias.size !== n) throw new Error(`linear: a bias of ${bias.size} for ${n} outputs`);
  if (residual && residual.size !== (x.size / k) * n)
    throw new Error(`linear: a residual [${residual.shape.join(', ')}] for ${(x.size / k) * n} outputs`);
  return apply(linearOp, [x, weight, bias, residual], { activation });
}
