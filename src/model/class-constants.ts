import type { Tensor } from '../autograd/tensor.ts';
import { shown, UserError } from '../common/errors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';

/** How a model of classes turns probabilities into a score: by the quality words, or by good against bad. */
export type Reading = 'words' | 'antonyms';

/** A reading as constants of a model file: `READING.text`, `READING.scores`, `READING.logit_scale`. */
export async function classConstants(
  reading: Reading,
  text: Tensor,
  scores: Tensor,
  logitScale: number,
): Promise<Map<string, HostTensor>> {
  return new Map([
    [`${reading}.text`, { shape: text.shape, data: await text.read() }],
    [`${reading}.scores`, { shape: scores.shape, data: await scores.read() }],
    [`${reading}.logit_scale`, { shape: [1], data: Float32Array.of(logitScale) }],
  ]);
}

/** Texts that stand for scores. */
export interface ClassConstants {
  /** L2-normalized text features [n, E]. */
  readonly text: HostTensor;
  /** The score [n] that each text stands for. */
  readonly scores: Float32Array;
  readonly logitScale: number;
}

/** The reading back from a model file's constants; null where the model has no such one. Throws `UserError` if they do not fit. */
export function readClassConstants(
  constants: ReadonlyMap<string, HostTensor>,
  reading: Reading,
): ClassConstants | null {
  const text = constants.get(`${reading}.text`);
  const scores = constants.get(`${reading}.scores`);
  const logitScale = constants.get(`${reading}.logit_scale`);
  if (!text || !scores || !logitScale) return null;
  const expected = [[scores.data.length, text.shape[1] ?? 0], [scores.data.length], [1]];
  const found = [text.shape, scores.shape, logitScale.shape];
  if (scores.data.length === 0 || text.shape[1] === 0 || shown(found) !== shown(expected))
    throw new UserError(
      `the text features, scores and logit scale of ${reading} are ${shown(found)}, which do not fit`,
      'The model is damaged; use another copy, or train again.',
    );
  return { text, scores: scores.data, logitScale: logitScale.data[0]! };
}
