import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { float32ToFloat16 } from '../data/formats/float16.ts';
import type { TensorData } from '../data/formats/safetensors.ts';
import { writeSafetensors } from '../data/formats/safetensors-file.ts';
import { toHost } from '../training/checkpoint-format.ts';
import { checkFinite } from '../training/finite.ts';
import type { Plan } from '../training/run-kind.ts';
import type { StepRecord } from './loop.ts';
import type { PretrainingSettings } from './settings.ts';

/** What a finished run leaves, also written as summary.json. */
export interface PretrainingSummary {
  readonly folder: string;
  readonly settings: PretrainingSettings;
  readonly adapter: string;
  readonly images: number;
  readonly views: number;
  /** Training images left out because a held-out image has the same bytes. */
  readonly excluded: readonly string[];
  readonly parameters: number;
  readonly steps: number;
  /** After which steps the run was given more epochs, and how many in all then; absent of a run that was not extended. */
  readonly extended?: Plan;
  readonly last: StepRecord | null;
  readonly seconds: number;
}

/**
 * Writes the CLIP in OpenAI's names and float16, as every loader reads it; with the recipe, but not where on this machine it
 * was made.
 *
 * @throws UserError if a weight is beyond float16
 */
export async function writeWeights(
  path: string,
  weights: ReadonlyMap<string, Tensor>,
  settings: PretrainingSettings,
): Promise<void> {
  const tensors = new Map<string, TensorData>();
  for (const [name, { shape, data }] of await toHost(weights)) {
    checkFinite(data, name, 'in the trained model');
    const at = data.findIndex((value) => Math.abs(value) > largestHalf);
    if (at >= 0)
      throw new UserError(
        `${name} holds ${data[at]}, which is out of range for float16`,
        'Training has diverged: start over with a lower --lr.',
      );
    tensors.set(name, { dtype: 'F16', shape, data: float32ToFloat16(data) });
  }
  const { root, pairs, teacher, out, cache, ...recipe } = settings;
  await writeSafetensors(path, tensors, { recipe: JSON.stringify(recipe) });
}

/** The largest number that rounds to a finite one of float16. */
const largestHalf = 65519;

export function recordText(record: StepRecord, steps: number): string {
  const { step, lr, contrastive, distillation, quality, imagesPerSecond } = record;
  const parts = [
    `step ${step}/${steps}`,
    `lr ${lr.toExponential(2)}`,
    `contrastive ${contrastive.toFixed(4)}`,
  ];
  if (distillation !== null) parts.push(`distillation ${distillation.toFixed(4)}`);
  if (quality !== null) parts.push(`quality ${quality.toFixed(5)}`);
  parts.push(`${imagesPerSecond.toFixed(1)} images/s`);
  return parts.join('  ');
}
