import type { Dataset } from '../data/datasets/index.ts';
import { classOf } from '../data/datasets/splits.ts';
import type { DatasetFeatures } from '../features/dataset-features.ts';
import type { FeatureSource } from '../features/feature-source.ts';
import { usesHead } from './create-learner.ts';
import type { Settings } from './settings.ts';
import { TargetScaling } from './target-scaling.ts';

/** The samples of one part of the data, with what the loop needs to know of each sample of the dataset. */
export interface TrainingData {
  readonly train: Int32Array;
  readonly val: Int32Array;
  readonly test: Int32Array;
  /** By sample: score and quality class. */
  readonly mos: Float32Array;
  readonly classes: Uint32Array;
  /** Of images that belong to classes instead of having scores: their names. Then nothing is measured by score. */
  readonly classNames?: readonly string[] | undefined;
  readonly trainFeatures: FeatureSource;
  /** Those of each training image's degraded versions, one behind the other. */
  readonly degradedFeatures?: FeatureSource | undefined;
  /** Center-crop features, for val and test. */
  readonly testFeatures: FeatureSource;
  /** By sample, for messages. */
  readonly names?: readonly string[];
  /** How the learner's scores relate to the MOS; absent where it learns the MOS itself. */
  readonly target?: TargetScaling | undefined;
}

/** What the loop learns from: the images that could be decoded, their scores as the settings want them. */
export function trainingData(
  { samples, split, thresholds, classNames }: Dataset,
  features: DatasetFeatures,
  { mosScaling, trainer }: Settings,
): TrainingData {
  const readable = (part: Int32Array) => part.filter((sample) => !features.unreadable.has(sample));
  const train = readable(split.train);
  const mos = Float32Array.from(samples, (sample) => sample.mos);
  const standardized = mosScaling === 'standard' && usesHead(trainer);
  return {
    train,
    val: readable(split.val),
    test: readable(split.test),
    mos,
    classes: Uint32Array.from(samples, ({ mos: score }) => classOf(score, thresholds)),
    classNames,
    names: samples.map(({ name }) => name),
    trainFeatures: features.train,
    degradedFeatures: features.degraded,
    testFeatures: features.test,
    target: standardized ? new TargetScaling(Array.from(train, (sample) => mos[sample]!)) : undefined,
  };
}
