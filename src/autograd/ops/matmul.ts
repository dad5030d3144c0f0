import { elementCount } from '../../common/shape.ts';
import { matmul as launch, type NormOfA, takesNorm } from '../../kernels/matmul/index.ts';
import { DeferredNorm } from '../deferred-norm.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** Which operands are given transposed. */
export interface MatmulAttributes {
  /** a is given as [..., k, m]. */
  readonly transposeA?: boolean;
  /** b is given as [..., n, k]. */
  readonly transposeB?: boolean;
}

/** Rows and columns of a matrix, or of a batch of them, as it is multiplied. */
function matrix(x: Tensor, transposed: boolean): readonly [number, number] {
  return transposed ? [x.dim(-1), x.dim(-2)] : [x.dim(-2), x.dim(-1)];
}

/** The matrix product of dense tensors of one batch shape. */
function product(
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
  mayTakeNorm = false,
): Tensor {
  const [m, k] = matrix(a, transposeA);
  const [, n] = matrix(b, transposeB);
  const batch = a.shape.slice(0, -2);
  const out = Tensor.empty(a.gpu, [...batch, m, n]);
  const options = {
    a: a.place,
    b: b.buffer,
    out: out.buffer,
    m,
    n,
    k,
    transposeA,
    transposeB,
    batch: elementCount(batch),
    bType: b.type === 'f16' ? ('f16' as const) : ('f32' as const),
    norm: null as NormOfA | null,
  };
  const onTheWay = mayTakeNorm && a.pending instanceof DeferredNorm && takesNorm(a.gpu, options, 'rows');
  launch(a.gpu, Object.assign(options, onTheWay ? (a.pending as DeferredNorm).onTheWay : { a: a.buffer }));
  return out;
}

const matmulOp: Op<{
  inputs: [a: Tensor, b: Tensor];
  saved: { a: Tensor | null; b: Tensor | null };
  attributes: Required<MatmulAttributes>;
}> = {
  name: 'matmul',
  types: [['f32'], ['f32', 'f16']],
  forward([a, b], { attributes: { transposeA, transposeB }, needs, save }) {
    save({ a: needs[1] ? a : null, b: needs[0] ? b : null });
    // A learned b's gradient reads a itself.
    return product(a, b, transposeA, transposeB, !needs[1]);
  },
  // C = A·B: dA = dC·Bᵀ, dB = Aᵀ·dC; of an operand given transposed, the gradient comes out transposed too.
  gradient: (dy, { saved: { a, b }, attributes: { transposeA, transposeB } }) => [
    b && (transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB)),
    a && (transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false)),
  ],
};

/**
 * a [..., m, k] · b [..., k, n] → [..., m, n], either operand also given transposed. Batch dimensions must be equal; a
 * batch of matrices times one matrix is {@link linear}.
 */
export function matmul(a: Tensor, b: Tensor, attributes: MatmulAttributes = {}): Tensor {
  const { transposeA = false, transposeB = false } = attributes;
  const fits = matrix(a, transposeA)[1] === matrix(b, transposeB)[0];
  if (!fits || a.shape.slice(0, -2).join() !== b.shape.slice(0, -2).join())
    throw new Error(
      `matmul: [${a.shape.join(', ')}]${transposeA ? 'ᵀ' : ''} does not fit [${b.shape.join(', ')}]${transposeB ? 'ᵀ' : ''}`,
    );
  return apply(matmulOp, [a, b], { transposeA, transposeB });
}
