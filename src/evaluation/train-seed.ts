import type { Reporter } from '../common/reporter.ts';
import { Resources } from '../common/resources.ts';
import type { EncodedSoFar } from '../features/dataset-features.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { StoredFeatures } from '../features/feature-source.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { loadClip } from '../model/load-clip.ts';
import { checkLearner } from '../training/create-learner.ts';
import { encodeRun, openImages } from '../training/encode-run.ts';
import type { Run, RunRecord } from '../training/open-run.ts';
import { clipOptions } from '../training/settings.ts';
import { unionOf } from './fold-images.ts';
import type { Fold } from './folds.ts';
import { trainFold } from './train-fold.ts';

/** Encodes what some folds need and trains them one after the other. */
export async function trainSeed(
  gpu: Gpu,
  run: Run<RunRecord>,
  folds: readonly Fold[],
  {
    encoded,
    done,
    reporter,
    signal,
  }: {
    readonly encoded: EncodedSoFar;
    readonly done: (fold: Fold, result: Awaited<ReturnType<typeof trainFold>>) => Promise<void>;
    readonly reporter: Reporter;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { settings, weights, tokenizer } = run;
  const held = new Resources();
  try {
    const vision = held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), text: false }));
    checkLearner(vision.config, tokenizer, settings, run.words);
    const encoder = featureExtractor(vision.vision, weights.id, settings);
    const images = held.hold(await openImages(gpu, vision, encoder, run));
    const whole = {
      ...run,
      encoded,
      features: null,
      dataset: { ...run.dataset, split: unionOf(folds) },
    };
    const features = await encodeRun(whole, images);
    if (features.train instanceof StoredFeatures) vision.releaseVision();
    const clip = tokenizer
      ? held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), vision: false }))
      : vision;
    const steps = (fold: Fold) =>
      settings.epochs *
      Math.floor(
        fold.split.train.length / Math.min(settings.batchSize, Math.max(1, fold.split.train.length)),
      );
    const bar = reporter.bar(
      `training ${folds.length} folds`,
      folds.reduce((sum, fold) => sum + steps(fold), 0),
    );
    try {
      for (const fold of folds)
        await done(
          fold,
          await trainFold(gpu, { run, clip, features }, fold, { step: () => bar.advance(), signal }),
        );
    } finally {
      bar.stop();
    }
  } finally {
    await held.release();
  }
}
