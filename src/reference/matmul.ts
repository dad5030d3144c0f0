/** Which product; as {@link MatmulOptions} of the kernels has it. */
export interface ReferenceProduct {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch?: number;
  /** One B for the whole batch. */
  readonly sharedB?: boolean;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** A·B by its definition, in float64. */
export function referenceMatmul(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { m, n, k, batch = 1, sharedB = false, transposeA = false, transposeB = false }: ReferenceProduct,
): Float64Array {
  const out = new Float64Array(batch * m * n);
  const [aRow, aColumn] = transposeA ? [1, m] : [k, 1];
  const [bRow, bColumn] = transposeB ? [1, k] : [n, 1];
  for (let z = 0; z < batch; z++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        const fromA = z * m * k + i * aRow;
        const fromB = (sharedB ? 0 : z * k * n) + j * bColumn;
        let sum = 0;
        for (let q = 0; q < k; q++) sum += a[fromA + q * aColumn]! * b[fromB + q * bRow]!;
        out[(z * m + i) * n + j] = sum;
      }
  return out;
}
