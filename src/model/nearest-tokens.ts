/** A row of a table and its Euclidean distance from a vector. */
export interface Neighbor {
  readonly id: number;
  readonly distance: number;
}

/**
 * The rows of a table nearest to each vector by Euclidean distance, as CoOp reads what its context vectors learned.
 *
 * @param vectors [n, width], row-major
 * @param table [rows, width], row-major, e.g. the token embeddings
 * @returns for each vector its `count` nearest rows, nearest first; of equal ones the lower row first
 */
export function nearestRows(
  vectors: Float32Array,
  table: Float32Array,
  width: number,
  count: number,
): Neighbor[][] {
  const rows = table.length / width;
  const squares = new Float64Array(rows);
  return Array.from({ length: vectors.length / width }, (_, v) => {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += (vectors[v * width + i]! - table[row * width + i]!) ** 2;
      squares[row] = sum;
    }
    const order = Uint32Array.from({ length: rows }, (_, row) => row);
    order.sort((a, b) => squares[a]! - squares[b]! || a - b);
    return Array.from(order.subarray(0, count), (id) => ({ id, distance: Math.sqrt(squares[id]!) }));
  });
}
