import { permutation, streams } from '../../common/random.ts';

/** The training part in the order of one epoch: a permutation that depends on seed and epoch alone. */
export function epochOrder(part: Int32Array, seed: number, epoch: number): Int32Array {
  return permutation(part.length, seed, streams.epoch + epoch).map((at) => part[at]!);
}

/** Consecutive batches of `size`, the last as short as what is left. */
export function batchesOf(order: Int32Array, size: number): Int32Array[] {
  const count = Math.ceil(order.length / size);
  return Array.from({ length: count }, (_, i) => order.subarray(i * size, (i + 1) * size));
}

/**
 * The batches of one training epoch. A last, incomplete batch is dropped, as the published trainer does, unless it
 * is the only one.
 */
export function trainingBatches(part: Int32Array, size: number, seed: number, epoch: number): Int32Array[] {
  const all = batchesOf(epochOrder(part, seed, epoch), size);
  return all.length > 1 ? all.filter((batch) => batch.length === size) : all;
}
