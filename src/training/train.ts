import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { type Reporter, silent } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { runFolder } from './default-folder.ts';
import { type RunSummary, trainRun } from './run.ts';
import { runSettings } from './run-settings.ts';
import { applySettings, defaultSettings, type Settings } from './settings.ts';
import type { EpochRecord } from './training-state.ts';

/** How {@link train} goes about it. */
export interface TrainOptions {
  /**
   * Called after each epoch, once its checkpoint is on the disk, and waited for. What it throws ends the run, which can be
   * continued from there.
   */
  readonly onEpoch?: ((record: EpochRecord) => void | Promise<void>) | undefined;
  /** Ends the run before its next step: it is then `Stopped`, and can be continued from the checkpoint of its last whole epoch. */
  readonly signal?: AbortSignal | undefined;
  /** Receives what the run does, in lines and bars; by default nothing does. */
  readonly reporter?: Reporter | undefined;
  /** Continues the run in the folder `out`, or the one given here, with its own settings; of those given, few may differ. */
  readonly resume?: boolean | string | undefined;
  /** Begins in place of the run that is in the folder; its files are removed first. */
  readonly overwrite?: boolean | undefined;
  /** Writes TensorBoard's event file, too. */
  readonly tensorboard?: boolean | undefined;
}

/** A model that {@link train} made. */
export interface TrainedModel {
  /** Path of `model.safetensors`, which `Scorer.load` or `Classifier.load` opens. */
  readonly model: string;
  /** What the run came to, also in its `summary.json`. */
  readonly summary: RunSummary;
}

/**
 * Trains a model as the command `train` does, into the folder `settings.out`. It writes nothing else but the feature cache, prints
 * nothing and handles no signals.
 *
 * @param settings what is to differ from the defaults, by the names of `Settings`
 * @throws UserError if the run cannot begin or go on, or ends in numbers that are not finite
 * @throws Stopped if `options.signal` ended it
 */
export async function train(
  gpu: Gpu,
  settings: Partial<Settings>,
  options: TrainOptions = {},
): Promise<TrainedModel> {
  const { onEpoch, signal, reporter = silent, resume = false, overwrite, tensorboard } = options;
  if (typeof settings !== 'object' || settings === null)
    throw new UserError(
      'settings are given as an object',
      "For example, { data: 'csv', csv: 'scores.csv' }.",
    );
  const chosen = await runSettings<Settings>(
    resume === false ? {} : { resume },
    {
      command: 'train',
      merge: (base = defaultSettings()) => applySettings(base, settings, 'settings'),
      parse: (saved, where) => applySettings(defaultSettings(), saved, where),
      folder: runFolder,
    },
    reporter,
  );
  const summary = await trainRun(gpu, chosen.settings, {
    resume: chosen.resume,
    overwrite,
    tensorboard,
    reporter,
    ...(onEpoch && { epoch: onEpoch }),
    ...(signal && { signal }),
  });
  return { model: join(summary.folder, 'model.safetensors'), summary };
}
