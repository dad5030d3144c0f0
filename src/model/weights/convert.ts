import { UserError } from '../../common/errors.ts';
import { float32ToFloat16, type StorageType } from '../../data/formats/float16.ts';
import type { TensorData } from '../../data/formats/safetensors.ts';
import { writeSafetensors } from '../../data/formats/safetensors-file.ts';
import { configMetadata } from './config-hints.ts';
import type { ClipWeights } from './weights.ts';
import { generateTensor, type WeightsSpec } from './weights-spec.ts';

/**
 * Writes a model as safetensors under canonical names (OpenAI's), one tensor at a time. What shapes do not tell
 * (heads, activation, mean and standard deviation) goes into the metadata. Numbers beyond float16's range are a `UserError`:
 * they would become infinite.
 */
export async function convertWeights(weights: ClipWeights, out: string, type: StorageType): Promise<void> {
  const tensors = weights.names().map((name) => {
    const read = () => weights.read(name);
    return [name, tensorData(name, weights.shape(name), type, read)] as const;
  });
  await writeSafetensors(out, new Map(tensors), configMetadata(weights.config));
}

/** The tensors of a specification, each generated when it is written. */
export function specTensors(spec: WeightsSpec, type: StorageType): Map<string, TensorData> {
  const tensors = [...spec.tensors].map(([name, { shape }]) => {
    return [name, tensorData(name, shape, type, () => generateTensor(spec, name))] as const;
  });
  return new Map(tensors);
}

function tensorData(
  name: string,
  shape: readonly number[],
  type: StorageType,
  read: () => Float32Array | Promise<Float32Array>,
): TensorData {
  if (type === 'float32') return { dtype: 'F32', shape, data: read };
  return { dtype: 'F16', shape, data: async () => toHalf(name, await read()) };
}

/** Halves of float32 values; throws `UserError` by the tensor's name where one is out of range. */
export function toHalf(name: string, values: Float32Array): Uint16Array {
  const largest = values.find((value) => Math.abs(value) >= 65520 && Number.isFinite(value));
  if (largest !== undefined) {
    throw new UserError(
      `tensor ${name} holds ${largest}, which is out of range for float16`,
      'Use --dtype float32.',
    );
  }
  return float32ToFloat16(values);
}
