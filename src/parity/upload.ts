import { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import type { TensorFile } from '../data/formats/tensor-file.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

/** A tensor of a file with reference values. */
export async function upload(gpu: Gpu, file: TensorFile, name: string): Promise<Tensor> {
  return Tensor.from(gpu, await file.read(name), getOrThrow(file.tensors, name).shape);
}
