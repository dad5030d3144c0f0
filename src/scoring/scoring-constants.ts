import { UserError } from '../common/errors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { type ClassConstants, type Reading, readClassConstants } from '../model/class-constants.ts';
import type { FeatureStatistics } from '../model/feature-scaling.ts';
import { type HeadKind, type HeadValues, headOf, misshapenTensor } from '../model/head.ts';
import type { SimilarityPlaces } from '../model/similarities.ts';

/** What turns a feature into a score: a head with the text features folded in, or classes that stand for scores. */
export type ScoringConstants =
  | {
      readonly kind: 'head';
      readonly head: HeadValues;
      /** What features are standardized by; null where the head takes unit vectors. */
      readonly statistics: FeatureStatistics | null;
      readonly activation: HeadKind;
      /** Prompts whose similarities the head takes behind the scaled feature, L2-normalized [prompts, E]; null where it takes none. */
      readonly similarities: (SimilarityPlaces & { readonly text: HostTensor }) | null;
    }
  | ({ readonly kind: 'classes' } & ClassConstants);

/**
 * What the constants of a model file say of scoring.
 *
 * @param reading of a model of classes, which of its readings
 * @param activation that of the head's hidden layer
 * @throws UserError if there is neither a head nor that reading, or if tensors do not fit each other
 */
export function readScoringConstants(
  constants: ReadonlyMap<string, HostTensor>,
  { scoreBy: reading, head: activation }: { readonly scoreBy: Reading; readonly head: HeadKind },
  path: string,
): ScoringConstants {
  if (constants.has('head.1.weight')) {
    const head = headOf((name) => {
      const value = constants.get(`head.${name}`);
      if (!value) throw noModel(path);
      return value;
    });
    const wrong = misshapenTensor(head, activation);
    if (wrong)
      throw damaged(
        `${path}: head tensor ${wrong.name} is [${head[wrong.name].shape.join(', ')}], expected [${wrong.expected.join(', ')}]`,
      );
    const statistics = statisticsOf(constants);
    const similarities = similaritiesOf(constants, path);
    const width = featureWidthOf(head, similarities);
    if (similarities?.places.some((at) => !(at >= 0 && at + similarities.text.shape[1]! <= width)))
      throw damaged(`${path}: the similarities are not within the ${width} numbers of a feature`);
    for (const [name, { length }] of Object.entries(statistics ?? {}))
      if (length !== width)
        throw damaged(
          `${path}: the ${name} of the features has width ${length}, but the head takes ${width}`,
        );
    return { kind: 'head', head, statistics, activation, similarities };
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

/** A head as published: of unit vectors, with the text features folded in. */
export const plainHead = (head: HeadValues): ScoringConstants => ({
  kind: 'head',
  head,
  statistics: null,
  activation: 'relu',
  similarities: null,
});

/** Numbers of a feature that a model takes. */
export function scoredWidth(scoring: ScoringConstants): number {
  return scoring.kind === 'head'
    ? featureWidthOf(scoring.head, scoring.similarities)
    : scoring.text.shape[1]!;
}

function featureWidthOf(
  head: HeadValues,
  similarities: { readonly places: readonly number[]; readonly text: HostTensor } | null,
): number {
  const taken = similarities ? similarities.places.length * similarities.text.shape[0]! : 0;
  return head['1.weight'].shape[1]! - taken;
}

function similaritiesOf(constants: ReadonlyMap<string, HostTensor>, path: string) {
  const [text, places, scale] = ['text', 'places', 'logitScale'].map((name) =>
    constants.get(`similarities.${name}`),
  );
  if (!text) return null;
  if (!places || text.shape.length !== 2 || scale?.data.length !== 1)
    throw damaged(`${path}: its similarities lack places, a scale, or the shape of texts`);
  return { text, places: [...places.data], logitScale: scale.data[0]! };
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
