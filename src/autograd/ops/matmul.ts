import { matmul as launch } from '../../kernels/matmul/index.ts';
import { apply, type Op } from '../tape.ts';
import { elements, Tensor } from '../tensor.ts';

/** Which operands are given transposed. */
export interface MatmulAttributes {
  /** a is given as [..., k, m]. */
  readonly transposeA?: boolean;
  /** b is given as [..., n, k]. */
  readonly transposeB?: boolean;
}

/** The matrix product of dense tensors of one batch shape. */
function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const [m, k] = transposeA ? [a.dim(-1), a.dim(-2)] : [a.dim(-2), a.dim(-1)];
  const [kB, n] = transposeB ? [b.dim(-1), b.dim(-2)] : [b.dim(-2), b.dim(-1)];
  const batch = a.shape.slice(0, -2);
  if (k !== kB || batch.join() !== b.shape.slice(0, -2).join())
    throw new Error(
      `matmul: [${a.shape.join(', ')}]${transposeA ? 'ᵀ' : ''} does not fit [${b.shape.join(', ')}]${transposeB ? 'ᵀ' : ''}`,
    );
  const out = Tensor.empty(a.gpu, [...batch, m, n]);
  launch(a.gpu, {
    a: a.buffer,
    b: b.buffer,
    out: out.buffer,
    m,
    n,
    k,
    transposeA,
    transposeB,
    batch: elements(batch),
    bType: b.type === 'f16' ? 'f16' : 'f32',
  });
  return out;
}

const matmulOp: Op<Required<MatmulAttributes>> = {
  name: 'matmul',
  types: [['f32'], ['f32', 'f16']],
  forward([a, b], { transposeA, transposeB }, context) {
    context.save(a!, b!);
    return product(a!, b!, transposeA, transposeB);
  },
  // C = A·B: dA = dC·Bᵀ, dB = Aᵀ·dC; of an operand given transposed, the gradient comes out transposed too.
  gradient(dy, { saved: [a, b], needs, attributes: { transposeA, transposeB } }) {
    return [
      needs[0]
        ? transposeA
          ? product(b!, dy, transposeB, true)
          : product(dy, b!, false, !transposeB)
        : null,
      needs[1]
        ? transposeB
          ? product(dy, a!, true, transposeA)
          : product(a!, dy, !transposeA, false)
        : null,
    ];
  },
};

/**
 * a [..., m, k] · b [..., k, n] → [..., m, n], either operand also given transposed. Batch dimensions must be equal; a
 * batch of matrices times one matrix is {@link linear}.
 */
export function matmul(a: Tensor, b: Tensor, attributes: MatmulAttributes = {}): Tensor {
  const { transposeA = false, transposeB = false } = attributes;
  return apply(matmulOp, [a, b], { transposeA, transposeB });
}
