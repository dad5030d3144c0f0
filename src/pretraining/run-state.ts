import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import type { Tensor } from '../autograd/tensor.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { defaultValues } from '../common/fields.ts';
import { writeOutput } from '../common/files.ts';
import { anyObject, count, finite, parseJson } from '../common/json.ts';
import type { Reporter } from '../common/reporter.ts';
import { writeSafetensors } from '../data/formats/safetensors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { openTensorFile } from '../data/formats/tensor-file.ts';
import { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import type { ClipConfig, TextConfig } from '../model/config.ts';
import { initialWeights } from '../model/weights/initial.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { joinParts, readParts, restore } from '../training/checkpoint.ts';
import { templatePrompts } from '../training/create-learner.ts';
import {
  type DataIdentity,
  dataIdentity,
  dataIdentitySchema,
  requireSameData,
} from '../training/data-identity.ts';
import { pretrainingFolder } from '../training/default-folder.ts';
import { checkFinite, NonFiniteError } from '../training/finite.ts';
import { checkChanges, withAbsolutePaths } from '../training/resume.ts';
import { RunFolder, stoppedBefore } from '../training/run-folder.ts';
import { fields } from '../training/settings.ts';
import { contextLength, pretrainingConfig } from './config.ts';
import { checkBatches, type PretrainingState } from './loop.ts';
import { type Pairs, readPairs } from './pairs.ts';
import { type PretrainingSettings, pretrainingFields } from './settings.ts';
import { startFromSpectra } from './spectral-weights.ts';
import { CaptionTokens } from './tokens.ts';
import { drawViews, type View } from './views.ts';

export interface PretrainingOptions {
  /** Go on from the last checkpoint in the run's folder, or in the folder given here. */
  readonly resume: boolean | string;
  /** Begin in place of the run that is in the folder. */
  readonly overwrite?: boolean | undefined;
  readonly reporter: Reporter;
  /** Ends the run between two steps: it is then {@link Stopped} at its last checkpoint. */
  readonly signal?: AbortSignal;
}

/** What a run holds on the host: with its last checkpoint all that another device needs to go on. */
export interface PretrainingRun {
  readonly settings: PretrainingSettings;
  readonly options: PretrainingOptions;
  readonly folder: RunFolder;
  readonly pairs: Pairs;
  readonly data: DataIdentity;
  readonly views: readonly View[];
  readonly tokens: CaptionTokens;
  readonly config: ClipConfig & { readonly text: TextConfig };
  /** By canonical name: what training starts from. */
  readonly start: ReadonlyMap<string, HostTensor>;
  /** The teacher's features, once they are computed. */
  teacher: { readonly teacher: Float32Array | null; readonly teacherWidth: number } | null;
  /** The last checkpoint, and where in the training it was written. */
  last: {
    readonly path: string;
    readonly state: PretrainingState;
    /** Whether the file is another's, or says less than is asked of the run now. */
    readonly changed: boolean;
  } | null;
  begun: boolean;
}

/**
 * Holds the run's folder and opens what it reads; nothing is computed on a device, and nothing in the folder is touched yet.
 *
 * @throws UserError if the run cannot begin or go on
 */
export async function openPretraining(
  given: PretrainingSettings,
  options: PretrainingOptions,
): Promise<PretrainingRun> {
  const settings = withAbsolutePaths(given);
  const { resume, overwrite = false, reporter, signal } = options;
  if (resume && overwrite)
    throw new UserError('--resume continues a run, --overwrite removes it', 'Use one of them, or neither.');
  const path = settings.out || pretrainingFolder(settings, defaultValues(pretrainingFields));
  const from = typeof resume === 'string' ? resume : path;
  const elsewhere = resolve(from) !== resolve(path);
  const start = resume && !elsewhere ? 'resume' : overwrite ? 'overwrite' : 'new';
  const folder = await RunFolder.claim(path, 'pretrain', start);
  try {
    const tokenizer = await Tokenizer.load();
    const config = pretrainingConfig(settings, tokenizer.vocabSize);
    const checkpoint = resume ? await lastCheckpoint(from, settings, reporter, elsewhere) : null;
    const draw = !resume || settings.root === '' ? { reporter, signal } : undefined;
    const pairs = await readPairs(settings, draw);
    const views = drawViews(pairs.pairs, pairs.thresholds, settings);
    checkBatches(views.length, settings);
    tellOfData(pairs, views.length, reporter);
    const data = await identityOf(pairs, settings);
    if (checkpoint) requireSameData(checkpoint.data, data, from);
    // The zero-shot trainer's default, so that a model learns what it will be asked.
    const words = templatePrompts(fields.template.value);
    const captions = views.map(({ caption }) => caption);
    const weights = initialWeights(config, settings.seed);
    if (settings.start === 'spectral') startFromSpectra(weights, config.vision);
    return {
      ...{ settings, options, folder, pairs, data, views, config, start: weights },
      tokens: new CaptionTokens(tokenizer, captions, words, contextLength),
      ...{ teacher: null, last: checkpoint, begun: false },
    };
  } catch (error) {
    folder.release();
    throw signal?.aborted && error === signal.reason ? new Stopped(stoppedBefore) : error;
  }
}

const format = 'clip-agiqa-webgpu pretraining checkpoint 2';
const earlierFormat = 'clip-agiqa-webgpu pretraining checkpoint 1';

const mean = v.nullable(finite);
const stateSchema = v.object({
  step: count,
  records: v.array(
    v.object({
      step: count,
      epoch: finite,
      lr: finite,
      contrastive: finite,
      distillation: mean,
      quality: mean,
      imagesPerSecond: finite,
    }),
  ),
  plan: v.array(v.object({ after: count, epochs: count })),
});
/** Where the run in a folder stands, if the settings allow it to go on; null where it ended before its first checkpoint. */
async function lastCheckpoint(
  folder: string,
  settings: PretrainingSettings,
  reporter: Reporter,
  elsewhere: boolean,
) {
  const path = join(folder, 'checkpoint.safetensors');
  if (!existsSync(path)) return null;
  const file = await openTensorFile(path);
  try {
    const found = file.metadata.format;
    if (found === earlierFormat)
      throw new UserError(
        `${path} was written by an earlier version, which did not record the training data`,
        'Start over with --overwrite, or start another run with --out.',
      );
    if (found !== format) throw new UserError(`${path} is not a pre-training checkpoint`);
    const { metadata } = file;
    const before = parseJson(metadata.settings, anyObject, `${path}, metadatasettings`);
    const state = parseJson(metadata.state, stateSchema, `${path}, metadata state`);
    const data = parseJson(metadata.data, dataIdentitySchema, `${path}, metadata data`);
    for (const line of checkChanges(before, settings, folder)) reporter.line(`changed    ${line}`);
    if (before.epochs === settings.epochs) return { path, state, data, changed: elsewhere };
    reporter.line(
      `extended   from ${before.epochs} to ${settings.epochs} epochs; the steps up to ${state.step} ran at their original learning rates, the rest use the schedule of ${settings.epochs} epochs`,
    );
    const plan = [...state.plan, { after: state.step, epochs: settings.epochs }];
    return { path, state: { ...state, plan }, data, changed: true };
  } finally {
    await file.close();
  }
}

/** Begins once the settings have been found to make sense, before anything that takes long. */
export async function beginPretraining(run: PretrainingRun, steps: number): Promise<void> {
  if (run.begun) return;
  const { settings, folder, last } = run;
  const { out, ...saved } = settings;
  const resumed = last !== null && folder.checkpoint !== null;
  const more = (last?.state.step ?? 0) < steps;
  await folder.begin(saved, !resumed ? 'everything' : more ? 'results' : 'nothing');
  if (last) await writeMetrics(run, last.state);
  run.begun = true;
}

/** The parameters and the optimizer's state of a run on its device, by name. */
export interface DeviceState {
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly optimizer: ReadonlyMap<string, Tensor>;
}

/** Writes a checkpoint in place of the last; throws, and leaves the last as it was, if a number of it is not finite. */
export async function savePretraining(
  run: PretrainingRun,
  { parameters, optimizer }: DeviceState,
  state: PretrainingState,
): Promise<void> {
  const { settings, folder, data } = run;
  const when = `in step ${state.step}`;
  // Read back one at a time: moments are twice the size of the model.
  const lazily = (tensors: ReadonlyMap<string, Tensor>, whose: string) =>
    new Map(
      [...tensors].map(([name, tensor]) => {
        const values = async () => {
          const read = await tensor.read();
          checkFinite(read, whose + name, when);
          return read;
        };
        return [name, { shape: tensor.shape, data: values }];
      }),
    );
  const parts = { parameters: lazily(parameters, ''), optimizer: lazily(optimizer, "the optimizer's ") };
  const path = folder.file('checkpoint.safetensors');
  const metadata = {
    format,
    settings: JSON.stringify({ ...settings, out: '' }),
    state: JSON.stringify(state),
    data: JSON.stringify(data),
  };
  await writeSafetensors(path, joinParts(parts), metadata, { checksums: true });
  run.last = { path, state, changed: false };
  await writeMetrics(run, state);
}

/** Takes the last checkpoint's values over to the device. */
export async function restorePretraining(
  { path }: NonNullable<PretrainingRun['last']>,
  { parameters, optimizer }: DeviceState,
): Promise<void> {
  const file = await openTensorFile(path);
  try {
    restore(parameters, (await readParts(file, ['parameters'])).parameters, path);
    restore(optimizer, (await readParts(file, ['optimizer'])).optimizer, path);
  } finally {
    await file.close();
  }
}

async function writeMetrics({ folder }: PretrainingRun, { records }: PretrainingState): Promise<void> {
  const lines = records.map((record) => `${JSON.stringify(record)}\n`);
  await writeOutput(folder.file('metrics.jsonl'), lines.join(''));
}

/** An error of a run, with what remains of it and how to go on. */
export function explainedPretraining(run: PretrainingRun, error: unknown, steps: number): unknown {
  const { folder, last, options } = run;
  const step = last?.state.step ?? 0;
  if (options.signal?.aborted && error === options.signal.reason) {
    const where = step > 0 ? `after step ${step} of ${steps}` : 'before the first checkpoint';
    return run.begun ? new Stopped(where, folder.goOn) : new Stopped(stoppedBefore);
  }
  if (!(error instanceof NonFiniteError)) return error;
  const left =
    step > 0 ? `The checkpoint of step ${step} is intact: ${last!.path}` : 'There is no checkpoint yet.';
  return new UserError(error.message, `Lower --lr. ${left}`, { cause: error });
}

function tellOfData({ pairs, excluded }: Pairs, views: number, reporter: Reporter): void {
  const left =
    excluded.length > 0 ? `; ${excluded.length} left out because they are identical to a held-out image` : '';
  reporter.line(`data       ${pairs.length} images, ${views} views${left}`);
}

async function identityOf(
  { pairs, excluded }: Pairs,
  { teacher }: PretrainingSettings,
): Promise<DataIdentity> {
  return dataIdentity({
    images: pairs.map(({ name, text, generator, quality }) => [name, text, generator, quality]),
    'left out': excluded.map((name) => [name]),
    teachers: teacher === '' ? [] : [[await weightsId(teacher)]],
  });
}
