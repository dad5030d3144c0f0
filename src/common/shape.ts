/** Number of elements of a shape; 0 where any size is, however large the others. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    if (size === 0) return 0;
    count *= size;
  }
  return count;
}
