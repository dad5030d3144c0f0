import { UserError } from '../common/errors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { cropsOf } from '../features/feature-extractor.ts';
import { type ErrorModel, errorDeviation, featureDistance, shareNearer } from '../model/doubt.ts';
import type { FeatureStatistics } from '../model/feature-scaling.ts';
import { type GradeConstants, gradeProbabilities } from '../model/grades.ts';
import type { Settings } from '../training/settings.ts';
import { wordsOf } from '../training/words.ts';
import { isOriginalFolder } from './original-model.ts';
import { readModel } from './trained-model.ts';

/** What a model can say of how sure its scores are. */
export interface DoubtConstants {
  /** Members of the ensemble. */
  readonly members: number;
  readonly crops: number;
  readonly error: ErrorModel | null;
  readonly distances: Float32Array | null;
  readonly grades: (GradeConstants & { readonly words: readonly string[] }) | null;
}

/** An image is unusual where it is farther from the training images' mean than so many of them. */
const unusualShare = 0.99;

/** The same as a `--doubt` column for each grade: the probability of a quality word. */
const gradeColumn = (word: string) => `p_${word}`;

/**
 * What the constants of a model file say of its doubt.
 *
 * @throws UserError if they do not fit each other
 */
export function readDoubt(
  constants: ReadonlyMap<string, HostTensor>,
  settings: Settings,
  path: string,
): DoubtConstants {
  const words = wordsOf(settings);
  const values = (name: string) => constants.get(name)?.data;
  const [error, distances, slope, boundaries] = [
    values('doubt.error'),
    values('doubt.distances'),
    values('grades.slope'),
    values('grades.boundaries'),
  ];
  const wrong =
    (error && (error.length !== 2 || error.some((value) => value < 0))) ||
    (distances && distances.length !== 101) ||
    (slope && (slope.length !== 1 || boundaries?.length !== words.length - 1));
  if (wrong)
    throw new UserError(
      `${path}: what it says of its doubt does not fit together`,
      'The model is damaged; use another copy, or train again.',
    );
  return {
    members: constants.get('head.4.bias')?.data.length ?? 1,
    crops: cropsOf(settings),
    error: error ? { base: error[0]!, factor: error[1]! } : null,
    distances: distances ?? null,
    grades: slope && boundaries ? { slope: slope[0]!, boundaries, words } : null,
  };
}

/** The columns that {@link doubtColumns} fills, in their order. */
export function doubtNames({ members, crops, error, distances, grades }: DoubtConstants): readonly string[] {
  return [
    ...(error ? ['uncertainty'] : []),
    ...(members > 1 ? ['spread_members'] : []),
    ...(crops > 1 ? ['spread_crops'] : []),
    ...(distances ? ['distance', 'unusual'] : []),
    ...(grades?.words.map(gradeColumn) ?? []),
  ];
}

/** The doubt that a model was trained to state. Throws `UserError` where it was not. */
export function requireDoubt(constants: DoubtConstants, path: string): DoubtConstants {
  if (doubtNames(constants).length > 0) return constants;
  throw new UserError(
    `${path} was not trained to say how sure it is`,
    'Train with --doubt-folds 5, --members 3, --crops 2 or --loss mse+grades, each of which gives some of it.',
  );
}

/** The doubt columns of the model of a path. Throws `UserError` where it has none. */
export async function doubtNamesOf(path: string): Promise<readonly string[]> {
  if (isOriginalFolder(path))
    throw new UserError(`${path}: a model of the published trainer says nothing of its doubt`);
  const { constants, settings } = await readModel(path);
  return doubtNames(requireDoubt(readDoubt(constants, settings, path), path));
}

/** What was seen of an image. */
export interface SeenImage {
  readonly score: number;
  /** The score of each member. */
  readonly members: ArrayLike<number>;
  /** The score with each native crop in place of their mean. */
  readonly crops: ArrayLike<number>;
  /** What the head takes, not standardized. */
  readonly feature: Float32Array;
}

/** The columns of an image's doubt. */
export function doubtColumns(
  constants: DoubtConstants,
  { score, members, crops, feature }: SeenImage,
  statistics: FeatureStatistics | null,
): Record<string, number> {
  const { error, distances, grades } = constants;
  const columns: Record<string, number> = {};
  const spread = deviation(members);
  if (error) columns.uncertainty = errorDeviation(error, spread);
  if (constants.members > 1) columns.spread_members = spread;
  if (constants.crops > 1) columns.spread_crops = deviation(crops);
  if (distances && statistics) {
    const share = shareNearer(featureDistance(feature, statistics), distances);
    columns.distance = share;
    columns.unusual = share > unusualShare ? 1 : 0;
  }
  if (grades)
    for (const [i, probability] of gradeProbabilities(score, grades).entries())
      columns[gradeColumn(grades.words[i]!)] = probability;
  return columns;
}

function deviation(values: ArrayLike<number>): number {
  const list = Array.from(values);
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
  return Math.sqrt(list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / list.length);
}
