import { basename } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { elementCount } from '../../common/shape.ts';
import { nonFiniteTensors } from '../../data/formats/finite.ts';
import type { TensorInfo } from '../../data/formats/tensor.ts';
import { openTensorFile } from '../../data/formats/tensor-file.ts';
import type { ClipConfig } from '../config.ts';
import type { Naming } from './naming.ts';
import { identifyWeights } from './official.ts';
import { openClipWeights } from './open-weights.ts';
import { weightsId } from './weights-id.ts';

export interface WeightsDescription {
  readonly path: string;
  readonly format: string;
  /** Of the bytes of the file, or of a folder's weight files. Null unless values were asked for. */
  readonly sha256: string | null;
  /** Which published file it is, or that it is not the one it is named for; null where nothing is known of it. */
  readonly official: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorInfo[];
  /** Elements of all tensors. */
  readonly parameters: number;
  /**
   * How many numbers of a tensor are NaN or infinite; tensors without any are left out. A model with any is refused. Null where
   * the values were not asked for, or cannot be read, which `problem` then says.
   */
  readonly nonFinite: Readonly<Record<string, number>> | null;
  /** Null when the file holds no model that can be used here; `problem` then says why. */
  readonly model: {
    readonly naming: Naming;
    readonly config: ClipConfig;
    readonly parameters: number;
  } | null;
  readonly problem: string | null;
}

/** What a file holds, as a model where it is one. With `values` it reads every value, a tensor at a time. */
export async function describeWeights(
  path: string,
  options: { readonly values?: boolean } = {},
): Promise<WeightsDescription> {
  const file = await openTensorFile(path);
  let nonFinite: WeightsDescription['nonFinite'] = null;
  let unreadable: string | null = null;
  try {
    if (options.values) {
      const found = await nonFiniteTensors(file);
      nonFinite = Object.fromEntries([...found].map(([name, { count }]) => [name, count]));
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    unreadable = error.message;
  } finally {
    await file.close();
  }
  const sha256 = options.values ? await weightsId(path) : null;
  const tensors = [...file.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const description = {
    path,
    format: file.format,
    sha256,
    official: sha256 && identifyWeights(sha256, basename(path)),
    metadata: file.metadata,
    tensors,
    parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    nonFinite,
  };
  try {
    const weights = await openClipWeights(path);
    await weights.close();
    const parameters = weights.names().reduce((sum, name) => sum + elementCount(weights.shape(name)), 0);
    const { naming, config } = weights;
    return { ...description, model: { naming, config, parameters }, problem: unreadable };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...description, model: null, problem: error.message };
  }
}
