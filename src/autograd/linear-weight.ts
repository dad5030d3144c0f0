import type { Gpu } from '../kernels/device/gpu.ts';
import { PackedWeight } from '../kernels/matmul/packed-weight.ts';
import type { Operand } from './op.ts';
import { slice } from './ops/shape.ts';
import { track } from './scope.ts';
import { Tensor } from './tensor.ts';

/**
 * The constant weight of a linear layer, [N, K], in the layout that products read fastest on this adapter, from float32 values or
 * the bits of halves. Freed as tensors are; should there be no room for it, the error gives its name.
 */
export function packWeight(
  gpu: Gpu,
  values: Float32Array | Uint16Array,
  shape: readonly [n: number, k: number],
  name = '',
): PackedWeight {
  return tracked(PackedWeight.pack(gpu, values, shape, name));
}

/** Rows `begin` (inclusive) to `end` (exclusive) of a weight: the part of some outputs. Of a packed one, `begin` is a multiple of 8. */
export function rowsOf(weight: Operand, begin: number, end: number): Operand {
  return weight instanceof Tensor ? slice(weight, 0, begin, end) : tracked(weight.rows(begin, end));
}

function tracked(weight: PackedWeight): PackedWeight {
  track(weight);
  return weight;
}
