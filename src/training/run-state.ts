import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Stopped, UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import type { Reporter } from '../common/reporter.ts';
import { type Dataset, openDataset, writeSplitCsv } from '../data/datasets/index.ts';
import { trainTestSplit } from '../data/datasets/splits.ts';
import { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import { type DatasetFeatures, EncodedSoFar } from '../features/dataset-features.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { usesText } from './create-learner.ts';
import { type DataIdentity, dataIdentity, requireSameData } from './data-identity.ts';
import { runFolder } from './default-folder.ts';
import { NonFiniteError } from './finite.ts';
import { checkChanges, withAbsolutePaths } from './resume.ts';
import { hasCurves, RunFolder, stoppedBefore } from './run-folder.ts';
import { datasetOptions, type Settings } from './settings.ts';
import { TensorBoardLog } from './tensorboard.ts';

export interface RunOptions {
  /** Go on from the last checkpoint in the run's folder, or in the folder given here. */
  readonly resume: boolean | string;
  /** Begin in place of the run that is in the folder. */
  readonly overwrite?: boolean | undefined;
  readonly reporter: Reporter;
  /** Write TensorBoard's event file too; a resumed run that has one goes on with it. */
  readonly tensorboard?: boolean | undefined;
  /** Ends the run between two steps: it is then {@link Stopped} at its last checkpoint. */
  readonly signal?: AbortSignal;
}

/** What a run holds on the host: all that another device needs to go on from where the last one stood. */
export interface Run {
  readonly settings: Settings;
  readonly options: RunOptions;
  readonly folder: RunFolder;
  /** With the split in use. */
  readonly dataset: Dataset;
  readonly data: DataIdentity;
  readonly weights: { readonly path: string; readonly id: string };
  readonly tokenizer: Tokenizer | null;
  /** The last checkpoint, read or written. */
  last: Checkpoint | null;
  readonly encoded: EncodedSoFar;
  /** Once all are computed. */
  features: DatasetFeatures | null;
  tensorboard: TensorBoardLog | null;
  begun: boolean;
}

/**
 * Holds the run's folder and opens what it reads; nothing is computed, and nothing in the folder is touched yet.
 *
 * @throws UserError if the run cannot begin or go on
 */
export async function openRun(given: Settings, options: RunOptions): Promise<Run> {
  // Nothing learns in a zero-shot model.
  const settings = withAbsolutePaths(given.trainer === 'zero-shot' ? { ...given, epochs: 0 } : given);
  const { resume, overwrite = false, reporter, signal } = options;
  if (resume && overwrite)
    throw new UserError('--resume continues a run, --overwrite removes it', 'Use one of them, or neither.');
  const path = runFolder(settings);
  const from = typeof resume === 'string' ? resume : path;
  const elsewhere = resolve(from) !== resolve(path);
  const start = resume && !elsewhere ? 'resume' : overwrite ? 'overwrite' : 'new';
  const folder = await RunFolder.claim(path, 'train', start);
  try {
    const last = resume ? await lastCheckpoint(from, settings, reporter) : null;
    // A resumed run has been trained on its scenes, and a folder that a file names is not for drawing.
    const draw = !resume || settings.root === '' ? { reporter, signal } : undefined;
    const opened = await openDataset({ ...datasetOptions(settings), draw });
    const dataset = { ...opened, split: withValidation(opened, settings) };
    tellOfData(dataset, settings, reporter);
    const data = identityOf(dataset);
    if (last) requireSameData(last.data!, data, from);
    const weights = weightsPath(settings.weights);
    const id = await weightsId(weights);
    if (last && last.weightsId !== id)
      throw new UserError(
        `${from} was trained on different weights from ${settings.weights}`,
        'Pass the same --weights.',
      );
    const tokenizer = usesText(settings.trainer) ? await Tokenizer.load() : null;
    return {
      ...{ settings, options, folder, dataset, data, tokenizer, last },
      ...{ weights: { path: weights, id }, encoded: new EncodedSoFar(), features: null, tensorboard: null },
      begun: false,
    };
  } catch (error) {
    folder.release();
    throw signal?.aborted && error === signal.reason ? new Stopped(stoppedBefore) : error;
  }
}

/** The checkpoint to go on from, if the settings allow it; null where a run ended before its first. */
async function lastCheckpoint(
  folder: string,
  settings: Settings,
  reporter: Reporter,
): Promise<Checkpoint | null> {
  const path = join(folder, 'checkpoint.safetensors');
  if (!existsSync(path)) return null;
  const checkpoint = await readCheckpoint(path);
  if (!checkpoint.data || !checkpoint.state.plan)
    throw new UserError(
      `${path} was written by an earlier version, which did not record the training data`,
      'Start over with --overwrite, or start another run with --out.',
    );
  const told = checkChanges(checkpoint.settings, settings, folder);
  for (const line of told) reporter.line(`changed    ${line}`);
  const { state } = checkpoint;
  if (checkpoint.settings.epochs === settings.epochs) return { ...checkpoint, settings };
  reporter.line(
    `extended   from ${checkpoint.settings.epochs} to ${settings.epochs} epochs; epochs 1 to ${state.epoch} ran at their original learning rates, the rest use the schedule of ${settings.epochs} epochs`,
  );
  const plan = [...checkpoint.state.plan, { after: state.epoch, epochs: settings.epochs }];
  return { ...checkpoint, settings, state: { ...state, plan } };
}

/**
 * Begins once every setting has been found to make sense: takes away what an older run left in the folder, or what this one left
 * when it ended earlier, and writes what is known already.
 */
export async function beginRun(run: Run): Promise<void> {
  if (run.begun) return;
  const { settings, options, folder, dataset, last } = run;
  const { out, ...saved } = settings;
  const more = (last?.state.epoch ?? 0) < settings.epochs;
  const resumed = last !== null && folder.checkpoint !== null;
  // A finished run that is only looked at again keeps its results until they are replaced by the same.
  const curves = options.tensorboard || (options.resume !== false && hasCurves(folder.path));
  await folder.begin(saved, !resumed ? 'everything' : more ? 'results' : 'nothing', { curves });
  await writeSplitCsv(folder.file('split.csv'), dataset);
  if (last) {
    // What is asked of it from now on, so that the next --resume knows.
    await writeCheckpoint(folder.file('checkpoint.safetensors'), last);
    await writeMetrics(run);
  }
  if (curves) {
    run.tensorboard = await TensorBoardLog.open(folder.path);
    run.tensorboard.write(last?.state.records ?? []);
  }
  run.begun = true;
}

/** Makes a checkpoint the last one, on the host and on the disk. */
export async function saveCheckpoint(run: Run, checkpoint: Checkpoint): Promise<void> {
  await writeCheckpoint(run.folder.file('checkpoint.safetensors'), checkpoint);
  run.last = checkpoint;
  await writeMetrics(run);
  run.tensorboard?.write(checkpoint.state.records);
}

async function writeMetrics({ folder, last }: Run): Promise<void> {
  const lines = last!.state.records.map((record) => `${JSON.stringify(record)}\n`);
  await writeOutput(folder.file('metrics.jsonl'), lines.join(''));
}

/** An error of a run, with what remains of it and how to go on. */
export function explained(run: Run, error: unknown): unknown {
  const { settings, folder, last, options } = run;
  const epoch = last?.state.epoch ?? 0;
  const trained = epoch > 0;
  if (options.signal?.aborted && error === options.signal.reason) {
    const where = trained
      ? `after epoch ${epoch} of ${settings.epochs}`
      : 'before the end of the first epoch';
    return run.begun ? new Stopped(where, folder.goOn) : new Stopped(stoppedBefore);
  }
  if (!(error instanceof NonFiniteError)) return error;
  const left = trained
    ? `The checkpoint of epoch ${epoch} is intact: ${folder.file('checkpoint.safetensors')}`
    : 'There is no checkpoint yet.';
  return new UserError(error.message, `Lower --lr, or scale the scores: --mos-scaling standard. ${left}`, {
    cause: error,
  });
}

/** The split, with a validation part cut from the training part where best_val needs one and the dataset has none. */
function withValidation(dataset: Dataset, { finalModel, valSize, splitSeed }: Settings): Dataset['split'] {
  const { split } = dataset;
  if (finalModel !== 'best_val' || split.val.length > 0) return split;
  const { train, test } = trainTestSplit(split.train.length, valSize, splitSeed);
  const pick = (part: Int32Array) => part.map((at) => split.train[at]!);
  return { train: pick(train), val: pick(test), test: split.test };
}

function identityOf({ samples, split }: Dataset): DataIdentity {
  const entries = (part: Int32Array) =>
    Array.from(part, (at) => [samples[at]!.name, samples[at]!.mos] as const);
  return dataIdentity({
    training: entries(split.train),
    validation: entries(split.val),
    test: entries(split.test),
  });
}

function tellOfData(
  { target, range, samples, split }: Dataset,
  { epochs, warmupEpochs, warmupLr }: Settings,
  reporter: Reporter,
): void {
  reporter.line(`scores     ${target}, ${range.join(' to ')}, ${samples.length} images`);
  if (range[0] === range[1])
    reporter.line(
      'warning    all scores are equal: there is nothing to learn, and correlations are undefined',
    );
  else if (split.test.length === 1)
    reporter.line('warning    the test set is a single image: correlations are undefined');
  if (epochs > 0 && epochs <= warmupEpochs)
    reporter.line(
      `warning    every epoch is a warm-up epoch, at a learning rate of ${warmupLr}: hardly anything is learned (--epochs, --warmup-epochs)`,
    );
}
