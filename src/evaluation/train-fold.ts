import { allOrNone } from '../autograd/scope.ts';
import { UserError } from '../common/errors.ts';
import { Resources } from '../common/resources.ts';
import { quantiles } from '../data/datasets/dataset-splits.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { emptyPart } from '../data/datasets/splits.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { DatasetFeatures } from '../features/dataset-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Clip } from '../model/clip.ts';
import { toHost } from '../training/checkpoint-format.ts';
import { NonFiniteError } from '../training/finite.ts';
import { TrainingLoop } from '../training/loop.ts';
import type { Run, RunRecord } from '../training/open-run.ts';
import { learnerOf } from '../training/run.ts';
import { trainingData } from '../training/training-data.ts';
import type { FoldFile } from './fold-files.ts';
import type { Fold } from './folds.ts';

/** What a fold is trained from: the run with its seed and images, on a device that has encoded them. */
export interface FoldInput {
  readonly run: Run<RunRecord>;
  readonly clip: Clip;
  readonly features: DatasetFeatures;
}

/**
 * Trains one fold and predicts its test images. The loop is given no test part: an epoch is chosen by the validation part, or it is the
 * last, and test scores are read by nothing here.
 */
export async function trainFold(
  gpu: Gpu,
  { run, clip, features }: FoldInput,
  fold: Fold,
  { step, signal }: { readonly step: () => void; readonly signal?: AbortSignal | undefined },
): Promise<Omit<FoldFile, 'protocol' | 'label' | 'seed' | 'digest'>> {
  const began = performance.now();
  const { settings } = run;
  const dataset = { ...run.dataset, split: fold.split, thresholds: thresholdsOf(run.dataset, fold) };
  const held = new Resources();
  try {
    const data = trainingData(dataset, features, settings);
    const learner = held.hold(learnerOf({ ...run, dataset }, clip, features, data));
    const seen = { ...data, test: emptyPart };
    const loop = held.hold(allOrNone(() => new TrainingLoop(gpu, learner, seen, settings)));
    let best: { readonly epoch: number; readonly values: ReadonlyMap<string, HostTensor> } | undefined;
    const start = { epoch: 0, records: [], best: null };
    const end = await loop.run(
      start,
      {
        step,
        epoch: async ({ epoch }, _record, improved) => {
          if (settings.finalModel === 'best_val' && improved)
            best = { epoch, values: await toHost(learner.parameters()) };
        },
      },
      signal,
    );
    if (best && best.epoch !== end.epoch)
      for (const [name, tensor] of learner.parameters()) tensor.write(best.values.get(name)!.data);
    const predictions = await loop.evaluator.predict(data.test);
    return {
      adapter: gpu.adapter.name,
      train: data.train.length,
      val: data.val.length,
      epoch: best?.epoch ?? end.epoch,
      seconds: (performance.now() - began) / 1000,
      names: Array.from(data.test, (at) => dataset.samples[at]!.name),
      predictions: [...predictions],
    };
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    throw new UserError(
      `${fold.protocol} (${fold.label}), seed ${settings.seed}: ${error.message}`,
      'Lower --lr, or scale the scores: --mos-scaling standard.',
      { cause: error },
    );
  } finally {
    await held.release();
  }
}

/** Bounds of the quality classes; those that are drawn from scores are drawn from the fold's own training scores. */
function thresholdsOf(
  { samples, thresholds, quantileThresholds }: Dataset,
  { split }: Fold,
): readonly number[] {
  return quantileThresholds ? quantiles(samples, split, thresholds.length + 1) : thresholds;
}
