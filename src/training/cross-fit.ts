import { Resources } from '../common/resources.ts';
import { dealContents } from '../data/datasets/deal-contents.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { emptyPart } from '../data/datasets/splits.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { StoredFeatures } from '../features/feature-source.ts';
import {
  featureDistance,
  fitErrorModel,
  type HeldOutErrors,
  percentiles,
  type ReliabilityRow,
  reliabilityTable,
} from '../model/doubt.ts';
import { type GradeConstants, gradeProbabilities } from '../model/grades.ts';
import type { TrainingLoop } from './loop.ts';
import type { TrainingData } from './training-data.ts';

/** A line of the reliability table of grade probabilities: how probable grades were held to be, and how often they were right. */
export interface GradeReliability {
  readonly n: number;
  readonly stated: number;
  readonly observed: number;
}

/** How well what a model says of its own doubt holds, on training prompts that the heads asked had not seen. */
export interface Doubt {
  readonly folds: number;
  readonly errors: readonly ReliabilityRow[];
  readonly grades?: readonly GradeReliability[];
}

export interface CrossFit {
  readonly dataset: Dataset;
  readonly data: TrainingData;
  readonly folds: number;
  readonly seed: number;
  /** A fresh loop on some of the training images, and how it is freed. */
  readonly make: (data: TrainingData) => { readonly loop: TrainingLoop; dispose(): void };
  readonly step: () => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains heads without each of several parts of the training images in turn, whole prompts where there are any, and asks them about that part:
 * scores of every member [images, members] in the order of `data.train`.
 */
export async function crossFit({
  dataset,
  data,
  folds,
  seed,
  make,
  step,
  signal,
}: CrossFit): Promise<readonly (readonly number[])[]> {
  const { train } = data;
  const dealt = dealContents(dataset, [...train], folds, seed);
  const foldOf = (sample: number, at: number) =>
    dealt.get(dataset.samples[sample]!.content ?? '') ?? at % folds;
  const parts = train.map((sample, at) => foldOf(sample, at));
  const scores: (readonly number[])[] = new Array(train.length);
  for (let fold = 0; fold < folds; fold++) {
    const held = train.filter((_, at) => parts[at] === fold);
    const rest = train.filter((_, at) => parts[at] !== fold);
    if (held.length === 0 || rest.length === 0) continue;
    const resources = new Resources();
    try {
      const { loop } = resources.hold(make({ ...data, train: rest, val: emptyPart, test: emptyPart }));
      await loop.run({ epoch: 0, records: [], best: null }, { step }, signal);
      const rows = await loop.evaluator.members(held);
      const members = rows.length / held.length;
      let next = 0;
      for (const at of train.keys())
        if (parts[at] === fold) scores[at] = [...rows.subarray(next * members, ++next * members)];
    } finally {
      await resources.release();
    }
  }
  return scores;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What scoring needs to state its doubt, from held-out scores of the training images, and how well that holds. */
export function learnedDoubt(
  scores: readonly (readonly number[])[],
  { train, mos, classes }: Pick<TrainingData, 'train' | 'mos' | 'classes'>,
  folds: number,
  grades: GradeConstants | null,
): { readonly constants: Map<string, HostTensor>; readonly doubt: Doubt } {
  const heldOut: HeldOutErrors = {
    errors: scores.map((members, at) => mean(members) - mos[train[at]!]!),
    spreads: scores.map((members) => Math.sqrt(mean(members.map((score) => (score - mean(members)) ** 2)))),
  };
  const model = fitErrorModel(heldOut);
  const constants = new Map<string, HostTensor>([
    ['doubt.error', { shape: [2], data: Float32Array.of(model.base, model.factor) }],
  ]);
  const errors = reliabilityTable(heldOut, model);
  if (!grades) return { constants, doubt: { folds, errors } };
  const asked = scores.map((members, at) => ({ score: mean(members), grade: classes[train[at]!]! }));
  const calibrated = calibrateGrades(grades, asked);
  constants.set('grades.slope', { shape: [1], data: Float32Array.of(calibrated.slope) });
  constants.set('grades.boundaries', {
    shape: [calibrated.boundaries.length],
    data: calibrated.boundaries,
  });
  return { constants, doubt: { folds, errors, grades: gradeReliability(calibrated, asked) } };
}

interface Asked {
  readonly score: number;
  readonly grade: number;
}

/** Grades whose logits are scaled by one factor, such that held-out images are most probable (Guo et al., arXiv 1706.04599). */
export function calibrateGrades(grades: GradeConstants, asked: readonly Asked[]): GradeConstants {
  const scaled = (factor: number): GradeConstants => ({
    slope: grades.slope * factor,
    boundaries: grades.boundaries.map((at) => at * factor),
  });
  const surprise = (factor: number) => {
    const model = scaled(factor);
    return mean(
      asked.map(({ score, grade }) => -Math.log(Math.max(1e-12, gradeProbabilities(score, model)[grade]!))),
    );
  };
  const factors = Array.from({ length: 61 }, (_, i) => 10 ** ((i - 40) / 40));
  const best = factors.reduce((a, b) => (surprise(b) < surprise(a) ? b : a));
  return scaled(best);
}

/** Every grade of every image by its stated probability, in tenths. */
export function gradeReliability(
  grades: GradeConstants,
  asked: readonly Asked[],
): readonly GradeReliability[] {
  const bins = Array.from({ length: 10 }, () => ({ n: 0, stated: 0, observed: 0 }));
  for (const { score, grade } of asked)
    for (const [i, probability] of gradeProbabilities(score, grades).entries()) {
      const bin = bins[Math.min(9, Math.floor(10 * probability))]!;
      bin.n++;
      bin.stated += probability;
      if (i === grade) bin.observed++;
    }
  return bins
    .filter(({ n }) => n > 0)
    .map(({ n, stated, observed }) => ({ n, stated: stated / n, observed: observed / n }));
}

/** How far the training images' features are from their mean, as percentiles: what is farther than nearly all of them is unusual. */
export function distanceConstants(
  features: StoredFeatures,
  train: Int32Array,
): [name: string, tensor: HostTensor] {
  const statistics = features.statistics(train);
  const distances = Array.from(train, (sample) => featureDistance(features.row(sample), statistics));
  return ['doubt.distances', { shape: [101], data: percentiles(distances) }];
}
