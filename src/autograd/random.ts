import { normals } from '../common/random.ts';
import { elementCount } from '../common/shape.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { Tensor } from './tensor.ts';

/** A tensor of normal numbers of mean 0 and standard deviation `std`, drawn on the host: element i is draw i of the stream. */
export function randomNormal(
  gpu: Gpu,
  shape: readonly number[],
  seed: number,
  stream: number,
  std = 1,
): Tensor {
  const values = new Float32Array(normals(elementCount(shape), seed, stream, std));
  return Tensor.from(gpu, values, shape);
}
