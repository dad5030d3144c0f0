import { UserError } from '../common/errors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { type ClassConstants, type Reading, readClassConstants } from '../model/class-constants.ts';
import type { FeatureStatistics } from '../model/feature-scaling.ts';
import { type HeadValues, headOf, misshapenTensor } from '../model/head.ts';

/** What turns a feature into a score: a head with the text features folded in, or classes that stand for scores. */
export type ScoringConstants =
  | {
      readonly kind: 'head';
      readonly head: HeadValues;
      /** What features are standardized by; null where the head takes unit vectors. */
      readonly statistics: FeatureStatistics | null;
    }
  | ({ readonly kind: 'classes' } & ClassConstants);

/**
 * What the constants of a model file say of scoring.
 *
 * @param reading of a model of classes, which of its readings
 * @throws UserError if there is neither a head nor that reading, or if tensors do not fit each other
 */
export function readScoringConstants(
  constants: ReadonlyMap<string, HostTensor>,
  reading: Reading,
  path: string,
): ScoringConstants {
  if (constants.has('head.1.weight')) {
    const head = headOf((name) => {
      const value = constants.get(`head.${name}`);
      if (!value) throw noModel(path);
      return value;
    });
    const wrong = misshapenTensor(head);
    if (wrong)
      throw damaged(
        `${path}: head tensor ${wrong.name} is [${head[wrong.name].shape.join(', ')}], expected [${wrong.expected.join(', ')}]`,
      );
    const statistics = statisticsOf(constants);
    const width = head['1.weight'].shape[1];
    for (const [name, { length }] of Object.entries(statistics ?? {}))
      if (length !== width)
        throw damaged(
          `${path}: the ${name} of the features has width ${length}, but the head takes ${width}`,
        );
    return { kind: 'head', head, statistics };
  }
  const classes = readClassConstants(constants, reading);
  if (classes) return { kind: 'classes', ...classes };
  if (constants.has('words.text'))
    throw new UserError(
      `${path} cannot score by ${reading}`,
      'Only a zero-shot model can score by antonyms; omit --score-by.',
    );
  throw noModel(path);
}

/** Numbers of a feature that a model takes. */
export function scoredWidth(scoring: ScoringConstants): number {
  return (scoring.kind === 'head' ? scoring.head['1.weight'] : scoring.text).shape[1]!;
}

/** Throws `UserError` if a model takes features of another width than its settings ask for. */
export function checkFeatureWidth(takes: number, width: number, path: string): void {
  if (takes !== width)
    throw damaged(`${path} takes features of width ${takes}, but its settings give width ${width}`);
}

const damaged = (what: string) =>
  new UserError(what, 'The model is damaged; use another copy, or train again.');

const noModel = (path: string) =>
  new UserError(`${path} holds no scoring head`, 'Pass model.safetensors, which a finished run writes.');

function statisticsOf(constants: ReadonlyMap<string, HostTensor>): FeatureStatistics | null {
  const mean = constants.get('features.mean');
  // Models of earlier versions call it a deviation.
  const std = constants.get('features.std') ?? constants.get('features.deviation');
  return mean && std ? { mean: mean.data, std: std.data } : null;
}
