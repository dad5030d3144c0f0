import { UserError } from '../common/errors.ts';
import { elementCount, type TensorInfo } from '../data/tensor.ts';
import { openTensorFile } from '../data/tensor-file.ts';
import type { ClipConfig } from './config.ts';
import type { Naming } from './naming.ts';
import { openClipWeights } from './weights.ts';

export interface WeightsDescription {
  readonly path: string;
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorInfo[];
  /** Elements of all tensors. */
  readonly parameters: number;
  /** Null when the file holds no model that can be used here; `problem` then says why. */
  readonly model: {
    readonly naming: Naming;
    readonly config: ClipConfig;
    readonly parameters: number;
  } | null;
  readonly problem: string | null;
}

/** What a file holds, as a model where it is one. Reads no values. */
export async function describeWeights(path: string): Promise<WeightsDescription> {
  const file = await openTensorFile(path);
  const tensors = [...file.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  await file.close();
  const description = {
    path,
    format: file.format,
    metadata: file.metadata,
    tensors,
    parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
  };
  try {
    const weights = await openClipWeights(path);
    await weights.close();
    const parameters = weights.names().reduce((sum, name) => sum + elementCount(weights.shape(name)), 0);
    const { naming, config } = weights;
    return { ...description, model: { naming, config, parameters }, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...description, model: null, problem: error.message };
  }
}
