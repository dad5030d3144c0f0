import { allOrNone, scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { type Reading, readClassConstants } from '../model/class-constants.ts';
import { FeatureScaling, type FeatureStatistics } from '../model/feature-scaling.ts';
import { type HeadValues, headOf, RegressionHead } from '../model/head.ts';
import type { Checkpoint } from '../training/checkpoint.ts';

/** What is left of a trained model once its texts are constants: image features [B, E], not normalized, to scores [B]. */
export interface ScoringModel {
  /** Numbers of a feature that it takes. */
  readonly width: number;
  predict(features: Tensor): Tensor;
  dispose(): void;
}

/** Scores by a head on the image's feature, the text features folded into it; without statistics it takes unit vectors. */
export function headModel(
  gpu: Gpu,
  values: HeadValues,
  statistics: FeatureStatistics | null = null,
): ScoringModel {
  const width = values['1.weight'].shape[1]!;
  for (const [name, { length }] of Object.entries(statistics ?? {}))
    if (length !== width)
      throw new UserError(
        `the ${name} of the features has width ${length}, but the head takes ${width}`,
        'The model is damaged; use another copy, or train again.',
      );
  const [head, scaling] = allOrNone(
    () => [new RegressionHead(gpu, values), new FeatureScaling(gpu, statistics)] as const,
  );
  return {
    width,
    predict: (features) => scope(() => head.forward(scaling.forward(features))),
    dispose: () => {
      for (const tensor of head.parameters.values()) tensor.dispose();
      scaling.dispose();
    },
  };
}

/** The scoring model of a model file: a head, or classes that stand for scores (`coop`, `zero-shot`). */
export function scoringModel(gpu: Gpu, model: Checkpoint, path: string, reading: Reading): ScoringModel {
  const { constants } = model;
  if (model.settings.classColumn !== '')
    throw new UserError(
      `${path} tells classes apart, it does not score`,
      'Use the score or eval command, or Classifier of the library.',
    );
  if (constants.has('head.1.weight')) {
    const head = headOf((name) => {
      const value = constants.get(`head.${name}`);
      if (!value) throw noModel(path);
      return value;
    });
    return headModel(gpu, head, statisticsOf(constants));
  }
  const classes = readClassConstants(gpu, constants, reading);
  if (classes) return classes;
  if (constants.has('words.text'))
    throw new UserError(
      `${path} cannot score by ${reading}`,
      'Only a zero-shot model can score by antonyms; omit --score-by.',
    );
  throw noModel(path);
}

const noModel = (path: string) =>
  new UserError(`${path} holds no scoring head`, 'Pass model.safetensors, which a finished run writes.');

/** Throws `UserError` if a model takes other features than those of `width` numbers that its settings ask for. */
export function checkFeatureWidth(scoring: ScoringModel, width: number, path: string): void {
  if (scoring.width !== width)
    throw new UserError(
      `${path}: takes features of width ${scoring.width}, but its settings give width ${width}`,
      'The model is damaged; use another copy, or train again.',
    );
}

/** What a model's features are standardized by; null where they are scaled to unit length. */
export function statisticsOf(constants: Checkpoint['constants']): FeatureStatistics | null {
  const mean = constants.get('features.mean');
  // Models of earlier versions call it a deviation.
  const std = constants.get('features.std') ?? constants.get('features.deviation');
  return mean && std ? { mean: mean.data, std: std.data } : null;
}
