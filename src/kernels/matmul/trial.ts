import type { TrialData } from '../device/trial.ts';
import type { FamilyTrial } from '../variant.ts';
import type { MatmulOperands, MatmulShape } from './shape.ts';

/** Multiply-adds of a product that is timed, at most: a twentieth of a second on the slowest GPUs. */
const mostTimed = 5e9;
/** And of one that the naive variant computes to check the others, on GPUs where that reads badly. */
const mostChecked = 2.5e8;
/** Rows of the latter, if they are not too long. */
const checkedRows = 128;

/** A product of as many rows as there are, up to what is worth timing; its last rows are checked. */
export function trial(asked: MatmulShape): FamilyTrial<MatmulShape, MatmulOperands> {
  const shape = withRows(asked, asked.batch > 1 ? asked.m : rowsWithin(asked, mostTimed));
  const { m, n, k, batch, strideA, strideB, transposeA, half } = shape;
  const partial = batch * m * n * k > mostChecked;
  const rows = Math.min(m, checkedRows, rowsWithin(shape, mostChecked));
  return {
    inputs: [
      { elements: (batch - 1) * strideA + m * k, type: 'f32' },
      { elements: (batch - 1) * strideB + k * n, type: half ? 'f16' : 'f32' },
    ],
    output: batch * m * n,
    // A trial has a buffer for B, which is copied each time.
    shape: { ...shape, interleaved: false },
    ...(partial && {
      part: {
        shape: { ...withRows(shape, rows), batch: 1, interleaved: false },
        runs: [[(batch * m - rows) * n, rows * n] as const],
        inputs: ([a, b]: readonly TrialData[]) => [
          lastRows((a as Float32Array).subarray((batch - 1) * strideA), m, k, rows, transposeA),
          b!.subarray((batch - 1) * strideB, (batch - 1) * strideB + Math.ceil((k * n) / 2) * 2),
        ],
      },
    }),
    args: ([a, b], out) => ({ a: a!, b: b!, out }),
  };
}

/** Rows whose product has at most so many multiply-adds, in multiples of 64; all where they do. */
function rowsWithin({ m, n, k }: MatmulShape, most: number): number {
  const rows = Math.max(64, Math.floor(most / (n * k) / 64) * 64);
  return Math.min(m, rows);
}

/** The product of so many rows of A. */
function withRows(shape: MatmulShape, rows: number): MatmulShape {
  if (rows === shape.m) return shape;
  const strideA = rows * shape.k;
  return {
    ...shape,
    m: rows,
    strideA,
    matrixA: { ...shape.matrixA, rows, batch: 1, stride: strideA },
    matrixB: { ...shape.matrixB, batch: 1 },
  };
}

/** The last `rows` of A's rows, which lies as [m, k] or [k, m]. */
function lastRows(a: Float32Array, m: number, k: number, rows: number, transposed: boolean): Float32Array {
  if (!transposed) return a.subarray((m - rows) * k, m * k);
  const part = new Float32Array(rows * k);
  for (let i = 0; i < k; i++) part.set(a.subarray((i + 1) * m - rows, (i + 1) * m), i * rows);
  return part;
}
