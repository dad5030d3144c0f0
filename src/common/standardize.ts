/** What standardizing divides by: a column that never varies tells nothing, so it becomes 0, not NaN. */
export const divisor = (std: number): number => std || 1;

/** A value shifted and scaled as its column has to be for mean 0 and standard deviation 1. */
export const standardized = (value: number, mean: number, std: number): number =>
  (value - mean) / divisor(std);
