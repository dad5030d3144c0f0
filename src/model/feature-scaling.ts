import { divide, subtract } from '../autograd/ops/arithmetic.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { divisor, standardized } from '../common/standardize.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

/** Mean and standard deviation of each number of a feature, over the training images. */
export interface FeatureStatistics {
  readonly mean: Float32Array;
  readonly std: Float32Array;
}

/**
 * What image features pass before a head: scaled to unit length, as CLIP's are, or, with statistics, standardized
 * number by number, (x - mean) / standard deviation. Pooled block outputs need the latter: a few large numbers would otherwise
 * leave the rest of a unit vector near 0.
 */
export class FeatureScaling {
  readonly statistics: FeatureStatistics | null;
  readonly #mean: Tensor | undefined;
  readonly #std: Tensor | undefined;

  constructor(gpu: Gpu, statistics: FeatureStatistics | null) {
    this.statistics = statistics;
    if (!statistics) return;
    const { mean } = statistics;
    const std = statistics.std.map(divisor);
    [this.#mean, this.#std] = allOrNone(() => [keep(Tensor.from(gpu, mean)), keep(Tensor.from(gpu, std))]);
  }

  /** Features [B, E] → the head's input [B, E]. */
  forward(features: Tensor): Tensor {
    const [mean, std] = [this.#mean, this.#std];
    if (!mean || !std) return l2Normalize(features);
    return scope(() => divide(subtract(features, mean), std));
  }

  dispose(): void {
    this.#mean?.dispose();
    this.#std?.dispose();
  }
}

/** Statistics over rows of `width` numbers (each array holds one or several). */
export function featureStatistics(rows: Iterable<Float32Array>, width: number): FeatureStatistics {
  const all = [...rows];
  const count = all.reduce((sum, row) => sum + row.length, 0) / width;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (const row of all) for (let i = 0; i < row.length; i++) mean[i % width]! += row[i]! / count;
  for (const row of all)
    for (let i = 0; i < row.length; i++) squares[i % width]! += (row[i]! - mean[i % width]!) ** 2 / count;
  return { mean: Float32Array.from(mean), std: Float32Array.from(squares, Math.sqrt) };
}

/** Standardizes features on the host, in place: rows of `width` numbers, each over the rows. */
export function standardizeFeatures(rows: Float32Array, width: number): void {
  const { mean, std } = featureStatistics([rows], width);
  for (const [i, value] of rows.entries()) {
    const column = i % width;
    rows[i] = standardized(value, mean[column]!, std[column]!);
  }
}
