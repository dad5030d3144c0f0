import type { Operand } from '../autograd/op.ts';
import { allOrNone } from '../autograd/scope.ts';
import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import { Resources } from '../common/resources.ts';
import { trainingBatches } from '../data/datasets/batches.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { StoredFeatures } from '../features/feature-source.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { loadClip } from '../model/load-clip.ts';
import { checkLearner } from '../training/create-learner.ts';
import { encodeRun, openImages } from '../training/encode-run.ts';
import { TrainingLoop } from '../training/loop.ts';
import { openRun, type RunRecord } from '../training/open-run.ts';
import { withAbsolutePaths } from '../training/resume.ts';
import { learnerOf } from '../training/run.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import { trainingData } from '../training/training-data.ts';
import type { Spared } from './ghosts.ts';
import { sparedRows } from './spared-rows.ts';
import { sparedTower } from './spared-tower.ts';

/** A training that has come to its first step, without a folder: only that batch's images are encoded. */
export interface OpenedStep {
  readonly loop: TrainingLoop;
  readonly weights: ReadonlyMap<string, Operand>;
  readonly spared: readonly Spared[];
  close(): Promise<void>;
}

/** @throws UserError where the training could not begin */
export async function openStep(
  gpu: Gpu,
  given: Settings,
  { reporter, signal }: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<OpenedStep> {
  const settings = withAbsolutePaths(given);
  if (settings.trainer === 'zero-shot')
    throw new UserError('a zero-shot model takes no training steps', 'Choose another --trainer.');
  const unsaved: RunRecord = { settings, last: null, from: '', identify: () => {} };
  const run = await openRun(unsaved, { resume: false, reporter, signal });
  const held = new Resources();
  try {
    const { dataset, weights, tokenizer } = run;
    const { train } = dataset.split;
    const [batch = train] = trainingBatches(
      train,
      Math.min(settings.batchSize, train.length),
      settings.seed,
      0,
    );
    const none = new Int32Array();
    const part = { ...run, dataset: { ...dataset, split: { train: batch, val: none, test: none } } };
    const vision = held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), text: false }));
    checkLearner(vision.config, tokenizer, settings, run.words);
    const encoder = featureExtractor(vision.vision, weights.id, settings);
    const images = held.hold(await openImages(gpu, vision, encoder, run));
    const features = await encodeRun(part, images);
    const cached = features.train instanceof StoredFeatures;
    const spared: Spared[] = [];
    if (cached) {
      spared.push(sparedTower(vision.vision, encoder, settings.encodeBatch, batch.length));
      vision.releaseVision();
    }
    const clip = tokenizer
      ? held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), vision: false }))
      : vision;
    const data = trainingData(part.dataset, features, settings);
    // Scores are scaled as by the whole training part.
    const learner = held.hold(learnerOf(run, clip, features, { ...data, train }));
    const loop = held.hold(allOrNone(() => new TrainingLoop(gpu, learner, data, settings)));
    if (tokenizer) spared.unshift(...sparedRows(gpu, learner, clip.text));
    return {
      loop,
      weights: new Map(clip.hasText ? clip.text.parameters.weights() : []),
      spared,
      close: () => held.release(),
    };
  } catch (error) {
    await held.release();
    throw error;
  }
}
