/** What the quality classes and the ends of the scale are in the unit of the MOS, as the training images tell. */
export interface MosScale {
  /** The score each class stands for, worst class first. */
  readonly centers: Float32Array;
  /** Smallest and largest MOS. */
  readonly range: readonly [number, number];
}

/**
 * The scale of the training images: a class stands for the mean MOS of its images; one without images for the
 * middle of its bounds, the outermost classes being bounded by the range of the scores.
 *
 * @param classes the class of each score
 * @param thresholds exclusive upper bounds of all classes but the last
 */
export function mosScale(
  mos: ArrayLike<number>,
  classes: ArrayLike<number>,
  thresholds: readonly number[],
): MosScale {
  const count = thresholds.length + 1;
  const sums = new Float64Array(count);
  const images = new Uint32Array(count);
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < mos.length; i++) {
    sums[classes[i]!]! += mos[i]!;
    images[classes[i]!]!++;
    low = Math.min(low, mos[i]!);
    high = Math.max(high, mos[i]!);
  }
  const bounds = [Math.min(low, thresholds[0]!), ...thresholds, Math.max(high, thresholds.at(-1)!)];
  const centers = Float32Array.from(sums, (sum, i) =>
    images[i]! > 0 ? sum / images[i]! : (bounds[i]! + bounds[i + 1]!) / 2,
  );
  return { centers, range: [low, high] };
}
