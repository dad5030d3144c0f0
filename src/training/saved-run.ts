import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Stopped, UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import type { Reporter } from '../common/reporter.ts';
import { withTensorFile } from './checkpoint-file.ts';
import {
  type CheckpointHeader,
  checkpointBytes,
  checkpointHeader,
  copiedParts,
  readBack,
  readPart,
  restorePart,
  verifyParts,
} from './checkpoint-format.ts';
import { requireSameData } from './data-identity.ts';
import { NonFiniteError } from './finite.ts';
import { checkChanges } from './resume.ts';
import { hasCurves, RunFolder } from './run-folder.ts';
import type { Curves, DeviceState, Plan, RunKind, RunOptions, RunSettings, RunState } from './run-kind.ts';
import type { DataIdentity } from './run-schemas.ts';

/** The parts of a checkpoint of a run; `best`: the best epoch's parameters, where they are kept and are not the last. */
const parts = ['parameters', 'best', 'optimizer'] as const;

interface Last<Settings, State, More> {
  readonly path: string;
  readonly header: CheckpointHeader<Settings, State> & More;
  /** Whether the file is another folder's, or says other than is asked of the run now. */
  readonly changed: boolean;
}

/**
 * A run as it is saved: the folder it holds, its last checkpoint, how it begins, goes on and ends. All of it is on the disk,
 * none on a device, so a run that loses its device goes on from here as one that was stopped does.
 */
export class SavedRun<Settings extends RunSettings, State extends RunState, More extends object> {
  readonly folder: RunFolder;
  readonly settings: Settings;
  /** The folder of the checkpoint it goes on from: its own, or another run's. */
  readonly from: string;
  readonly #kind: RunKind<Settings, State, More>;
  readonly #options: RunOptions;
  #last: Last<Settings, State, More> | null;
  #data: DataIdentity | undefined;
  #curves: Curves<State> | undefined;
  /** Epochs or steps in all, once the run has begun. */
  #total: number | undefined;

  private constructor(
    kind: RunKind<Settings, State, More>,
    {
      folder,
      from,
      settings,
      options,
    }: {
      readonly folder: RunFolder;
      readonly from: string;
      readonly settings: Settings;
      readonly options: RunOptions;
    },
    last: Last<Settings, State, More> | null,
  ) {
    this.#kind = kind;
    this.folder = folder;
    this.from = from;
    this.settings = settings;
    this.#options = options;
    this.#last = last;
  }

  /**
   * Holds the folder `path` and reads what there is to go on from; nothing in the folder is touched before begin().
   *
   * @throws UserError if the folder is held by another run, or there is one in it that the options do not allow for, or the
   *   settings are not those that it may go on with
   */
  static async open<Settings extends RunSettings, State extends RunState, More extends object>(
    kind: RunKind<Settings, State, More>,
    path: string,
    settings: Settings,
    options: RunOptions,
  ): Promise<SavedRun<Settings, State, More>> {
    const { resume, overwrite = false } = options;
    if (resume && overwrite)
      throw new UserError('--resume continues a run, --overwrite removes it', 'Use one of them, or neither.');
    const from = typeof resume === 'string' ? resume : path;
    const elsewhere = resolve(from) !== resolve(path);
    const start = resume && !elsewhere ? 'resume' : overwrite ? 'overwrite' : 'new';
    const folder = await RunFolder.claim(path, kind.command, start, options);
    try {
      const last = resume ? await lastCheckpoint(kind, from, settings, options.reporter) : null;
      const changed = last && { ...last, changed: last.changed || elsewhere };
      return new SavedRun(kind, { folder, from, settings, options }, changed);
    } catch (error) {
      folder.release();
      throw error;
    }
  }

  /** What the last checkpoint says; null before the first. */
  get last(): (CheckpointHeader<Settings, State> & More) | null {
    return this.#last?.header ?? null;
  }

  /** Epochs or steps that the last checkpoint has behind it. */
  get done(): number {
    return this.#last ? this.#kind.done(this.#last.header.state) : 0;
  }

  /**
   * What the run is trained on, as far as it is known; recorded in every checkpoint.
   *
   * @throws UserError if the run was trained on anything else so far
   */
  identify(data: DataIdentity): void {
    const before = this.#last?.header.data;
    if (before) requireSameData(before, data, this.from);
    this.#data = data;
  }

  /**
   * Begins once every setting has been found to make sense: takes away what an older run left in the folder, or what this one
   * left when it ended earlier, and writes what is known already.
   *
   * @param total epochs or steps in all
   * @returns false of a run that had begun already
   */
  async begin(total: number): Promise<boolean> {
    if (this.#total !== undefined) return false;
    const { folder } = this;
    const { resume, tensorboard = false } = this.#options;
    const { out, ...saved } = this.settings;
    const resumed = this.#last !== null && folder.checkpoint !== null;
    const more = this.done < total;
    const { openCurves } = this.#kind;
    const curves = openCurves !== undefined && (tensorboard || (resume !== false && hasCurves(folder.path)));
    // A finished run that is only looked at again keeps its results until they are replaced by the same.
    await folder.begin(saved, !resumed ? 'everything' : more ? 'results' : 'nothing', {
      curves: curves === true,
    });
    if (this.#last) {
      await this.#rewrite(this.#last);
      await folder.metrics(this.#last.header.state.records);
    }
    if (curves) {
      this.#curves = await openCurves(folder.path);
      this.#curves.write(this.#last?.header.state.records ?? []);
    }
    this.#total = total;
    return true;
  }

  /**
   * Takes the last checkpoint's values over to the device.
   *
   * @returns where the run stands by it; null where there is none
   */
  async restore({ parameters, optimizer }: DeviceState): Promise<State | null> {
    if (!this.#last) return null;
    await withTensorFile(this.#last.path, async (file) => {
      await restorePart(file, 'parameters', parameters);
      await restorePart(file, 'optimizer', optimizer);
    });
    const { unit } = this.#kind;
    this.#options.reporter.line(`resuming   after ${unit} ${this.done} of ${this.#total}`);
    return this.#last.header.state;
  }

  /** Takes the best epoch's parameters, which the last checkpoint keeps, over to the device. */
  async restoreBest(parameters: DeviceState['parameters']): Promise<void> {
    await withTensorFile(this.#last!.path, (file) => restorePart(file, 'best', parameters));
  }

  /**
   * Writes a checkpoint in place of the last, with what it says to metrics.jsonl and the curves.
   *
   * @param best which part of the last checkpoint holds the best parameters, where they go into this one as such
   * @throws NonFiniteError, and leaves the last as it was, if a number in it is not finite
   */
  async save(
    state: State,
    { parameters, optimizer }: DeviceState,
    more: More,
    best: 'parameters' | 'best' | null = null,
  ): Promise<void> {
    const { unit, format, done } = this.#kind;
    this.folder.requireHeld();
    const path = this.folder.file('checkpoint.safetensors');
    const kept = best && (await withTensorFile(this.#last!.path, (file) => readPart(file, best)));
    const when = `in ${unit} ${done(state)}`;
    const header = { ...more, settings: this.settings, state, ...(this.#data ? { data: this.#data } : {}) };
    const parts = {
      parameters: readBack(parameters, '', when),
      best: kept ?? new Map(),
      optimizer: readBack(optimizer, "the optimizer's ", when),
    };
    await writeOutput(path, checkpointBytes(format, header, parts));
    this.#last = { path, header, changed: false };
    await this.folder.metrics(state.records);
    this.#curves?.write(state.records);
  }

  /** After which epochs or steps the run was given more epochs, and how many in all then; empty of a run that was not extended. */
  get extended(): { readonly extended?: Plan } {
    const later = this.#last?.header.state.plan?.slice(1) ?? [];
    return later.length > 0 ? { extended: later } : {};
  }

  /** An error of the run, with what remains of it and how to go on. */
  explain(error: unknown): unknown {
    const { unit, unsaved, remedy } = this.#kind;
    const { signal } = this.#options;
    const { done } = this;
    if (signal?.aborted && error === signal.reason) {
      if (this.#total === undefined) return new Stopped('before anything was computed; nothing was written');
      return new Stopped(
        done > 0 ? `after ${unit} ${done} of ${this.#total}` : unsaved,
        this.folder.resumeCommand,
      );
    }
    if (!(error instanceof NonFiniteError)) return error;
    const left =
      done > 0
        ? `The checkpoint of ${unit} ${done} is intact: ${this.#last!.path}`
        : 'There is no checkpoint yet.';
    return new UserError(error.message, `${remedy} ${left}`, { cause: error });
  }

  /** Lets go of the folder, which goes too if it was made for nothing. */
  close(): void {
    this.folder.release();
  }

  /** Has the checkpoint in the run's own folder say what is asked of it from now on, so that the next --resume knows. */
  async #rewrite({ path, header, changed }: Last<Settings, State, More>): Promise<void> {
    if (!changed) return;
    const own = this.folder.file('checkpoint.safetensors');
    await withTensorFile(path, (file) =>
      writeOutput(own, checkpointBytes(this.#kind.format, header, copiedParts(file, parts))),
    );
    this.#last = { path: own, header, changed: false };
  }
}

/** The checkpoint to go on from, if the settings allow it; null where a run ended before its first. */
async function lastCheckpoint<Settings extends RunSettings, State extends RunState, More extends object>(
  { format, unit, done }: RunKind<Settings, State, More>,
  folder: string,
  settings: Settings,
  reporter: Reporter,
): Promise<Last<Settings, State, More> | null> {
  const path = join(folder, 'checkpoint.safetensors');
  if (!existsSync(path)) return null;
  const header = await withTensorFile(path, async (file) => {
    const said = checkpointHeader(file, format);
    await verifyParts(file, parts);
    return said;
  });
  const { settings: before, state, data } = header;
  if (!data || !state.plan)
    throw new UserError(
      `${path} was written by an earlier version, which did not record the training data`,
      'Start over with --overwrite, or start another run with --out.',
    );
  const values = before as Readonly<Record<string, unknown>>;
  for (const line of checkChanges(values, settings as typeof values, folder))
    reporter.line(`changed    ${line}`);
  const changed = Object.entries(settings).some(([name, value]) => name !== 'out' && values[name] !== value);
  if (before.epochs === settings.epochs) return { path, header: { ...header, settings }, changed };
  reporter.line(
    `extended   from ${before.epochs} to ${settings.epochs} epochs; ${unit}s 1 to ${done(state)} ran at their original learning rates, the rest use the schedule of ${settings.epochs} epochs`,
  );
  const plan = [...state.plan, { after: done(state), epochs: settings.epochs }];
  return { path, header: { ...header, settings, state: { ...state, plan } }, changed: true };
}
