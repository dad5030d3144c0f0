import { UserError } from '../common/errors.ts';
import { type Dataset, openDataset } from '../data/datasets/index.ts';
import { trainTestSplit } from '../data/datasets/splits.ts';
import type { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import { type DatasetFeatures, EncodedSoFar } from '../features/dataset-features.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { usesText } from './create-learner.ts';
import { dataIdentity } from './data-identity.ts';
import { describeData } from './describe-data.ts';
import type { RunKind, RunOptions } from './run-kind.ts';
import type { DataIdentity } from './run-schemas.ts';
import type { SavedRun } from './saved-run.ts';
import { datasetOptions, type Settings } from './settings.ts';
import { TensorBoardLog } from './tensorboard.ts';
import { type TrainingMetadata, trainingFormat } from './training-format.ts';
import type { EpochRecord, TrainingState } from './training-state.ts';
import { wordsOf } from './words.ts';

export const trainingKind: RunKind<Settings, TrainingState, TrainingMetadata> = {
  command: 'train',
  format: trainingFormat,
  unit: 'epoch',
  done: ({ epoch }) => epoch,
  unsaved: 'before the end of the first epoch',
  remedy: 'Lower --lr, or scale the scores: --mos-scaling standard.',
  openCurves: (folder) => TensorBoardLog.open(folder),
};

export interface TrainingOptions extends RunOptions {
  /** After each epoch, once its checkpoint is on the disk; waited for. */
  readonly epoch?: (record: EpochRecord) => void | Promise<void>;
}

/** Where a run stands on the disk, as far as what it reads depends on that. */
export type RunRecord = Pick<
  SavedRun<Settings, TrainingState, TrainingMetadata>,
  'settings' | 'last' | 'from' | 'identify'
>;

/** What a training holds on the host: with its last checkpoint all that another device needs to go on. */
export interface Run<Saved extends RunRecord = SavedRun<Settings, TrainingState, TrainingMetadata>> {
  readonly saved: Saved;
  readonly settings: Settings;
  readonly options: TrainingOptions;
  /** With the split in use. */
  readonly dataset: Dataset;
  readonly data: DataIdentity;
  readonly weights: { readonly path: string; readonly id: string };
  readonly tokenizer: Tokenizer | null;
  /** Of the prompts, in the order of the head's input; none of a trainer without prompts. */
  readonly words: readonly string[];
  readonly encoded: EncodedSoFar;
  /** Once all are computed. */
  features: DatasetFeatures | null;
}

/**
 * Opens what a run reads; nothing is computed.
 *
 * @throws UserError if data or weights are not there, or not those that the run was trained on
 */
export async function openRun<Saved extends RunRecord>(
  saved: Saved,
  options: TrainingOptions,
): Promise<Run<Saved>> {
  const { settings, last } = saved;
  const { resume, reporter, signal } = options;
  // A resumed run has been trained on its scenes, and a folder that a file names is not for drawing.
  const draw = !resume || settings.root === '' ? { reporter, signal } : undefined;
  const opened = await openDataset({ ...datasetOptions(settings), draw });
  const dataset = { ...opened, split: withValidation(opened, settings) };
  if (dataset.classNames) checkClasses(settings);
  await describeData(dataset, settings, reporter);
  const data = identityOf(dataset);
  saved.identify(data);
  const path = weightsPath(settings.weights);
  const id = await weightsId(path);
  if (last && last.weightsId !== id)
    throw new UserError(
      `${saved.from} was trained on different weights from ${settings.weights}`,
      'Pass the same --weights.',
    );
  const textual = usesText(settings.trainer);
  const tokenizer = textual ? await loadTokenizer() : null;
  const words = textual ? (dataset.classNames ?? wordsOf(settings)) : [];
  return {
    saved,
    settings,
    options,
    dataset,
    data,
    tokenizer,
    words,
    weights: { path, id },
    encoded: new EncodedSoFar(),
    features: null,
  };
}

/** The split, with a validation part cut from the training part where best_val needs one and the dataset has none. */
function withValidation(dataset: Dataset, { finalModel, valSize, splitSeed }: Settings): Dataset['split'] {
  const { split } = dataset;
  if (finalModel !== 'best_val' || split.val.length > 0) return split;
  const { train, test } = trainTestSplit(split.train.length, valSize, splitSeed);
  const pick = (part: Int32Array) => part.map((at) => split.train[at]!);
  return { train: pick(train), val: pick(test), test: split.test };
}

/** Refuses settings that make no sense where images belong to classes. */
function checkClasses({ trainer, words, scoreBy }: Settings): void {
  if (trainer !== 'coop' && trainer !== 'zero-shot')
    throw new UserError(
      `--class-column: the trainer ${trainer} learns scores, not classes`,
      'Use --trainer coop or --trainer zero-shot, or name a column of scores with --mos-column.',
    );
  if (words !== '' || scoreBy !== 'words')
    throw new UserError(
      `--class-column and ${words === '' ? '--score-by antonyms' : '--words'} exclude each other`,
      'The words of the prompts are the names of the classes.',
    );
}

function identityOf({ samples, split, classNames }: Dataset): DataIdentity {
  const entries = (part: Int32Array) =>
    Array.from(
      part,
      (at) => [samples[at]!.name, classNames?.[samples[at]!.mos] ?? samples[at]!.mos] as const,
    );
  return dataIdentity({
    training: entries(split.train),
    validation: entries(split.val),
    test: entries(split.test),
  });
}
