import type { DatasetFeatures } from '../features/dataset-features.ts';
import { choosesFeatures } from '../features/feature-extractor.ts';
import { type CrossFit, crossFit, distanceConstants, learnedDoubt } from './cross-fit.ts';
import type { Run } from './open-run.ts';
import type { RunOutcome } from './results.ts';

/** The outcome of a run with what its model can say of its own doubt, where that is asked for. */
export async function withDoubt(
  { settings, dataset, options }: Run,
  outcome: RunOutcome,
  { features, make }: Pick<CrossFit, 'make'> & { readonly features: DatasetFeatures },
): Promise<RunOutcome> {
  const { doubtFolds, trainer, scaling, epochs, batchSize, splitSeed } = settings;
  if (doubtFolds === 0 || !choosesFeatures(trainer)) return outcome;
  const { data } = outcome;
  const share = (doubtFolds - 1) / doubtFolds;
  const steps = Math.floor((data.train.length * share) / Math.min(batchSize, data.train.length));
  const bar = options.reporter.bar('training for doubt', doubtFolds * epochs * steps);
  try {
    const scores = await crossFit({
      dataset,
      data,
      folds: doubtFolds,
      seed: splitSeed,
      make,
      step: () => bar.advance(),
      signal: options.signal,
    });
    const slope = outcome.constants.get('grades.slope')?.data[0];
    const boundaries = outcome.constants.get('grades.boundaries')?.data;
    const grades = slope !== undefined && boundaries ? { slope, boundaries } : null;
    const { constants, doubt } = learnedDoubt(scores, data, doubtFolds, grades);
    if (scaling === 'standard') constants.set(...distanceConstants(features.known, data.train));
    return { ...outcome, doubt, constants: new Map([...outcome.constants, ...constants]) };
  } finally {
    bar.stop();
  }
}
