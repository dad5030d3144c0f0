import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml, stringify as toYaml } from 'yaml';
import { removeEmptyFolder, removeFile } from '../common/disk.ts';
import { UserError } from '../common/errors.ts';
import { diskError, prepareFolder, writeOutput } from '../common/files.ts';
import { commandOf, configOf, header, type RunCommand, resumeCommand } from './run-command.ts';
import { type LockOptions, lockRun, type RunLock } from './run-lock.ts';
import { eventFiles } from './tensorboard.ts';

/** How a run begins: in a folder without one, on from its last checkpoint, or in place of the one that is there. */
export type RunStart = 'new' | 'resume' | 'overwrite';

/** What a run leaves when it ends; an unfinished one has none of these, so that it is never taken for a finished one. */
const results = ['model.safetensors', 'predictions.csv', 'summary.json', 'report.html', 'step.html'];

/** Every file a run makes, besides TensorBoard's, in the order in which they are removed: first what a resumed run would start from. */
const files = [
  'checkpoint.safetensors',
  'config.yaml',
  ...results,
  'split.csv',
  'metrics.jsonl',
  'tuning.json',
  'best.safetensors', // of earlier versions
];

/**
 * The folder of a run, held for this process: the one place that decides whether a run may begin there and which files go.
 * Training and pre-training share it. What is removed is removed by name, and only what a run makes.
 */
export class RunFolder {
  readonly path: string;
  readonly #command: RunCommand;
  readonly #made: boolean;
  readonly #lock: RunLock;

  private constructor(path: string, command: RunCommand, made: boolean, lock: RunLock) {
    this.path = path;
    this.#command = command;
    this.#made = made;
    this.#lock = lock;
  }

  /**
   * Makes the folder if need be, and holds it until release(). Nothing in it is touched before begin().
   *
   * @throws UserError if it cannot be written, another run is under way there, one is there that `start` does not allow for,
   *   or there is none to resume
   */
  static async claim(
    path: string,
    command: RunCommand,
    start: RunStart,
    lock: LockOptions = {},
  ): Promise<RunFolder> {
    const made = !existsSync(path);
    prepareFolder(path);
    const folder = new RunFolder(path, command, made, await lockRun(path, lock));
    try {
      refuseLinks(path);
      if (start === 'new') refuseRun(path, command);
      if (start === 'resume' && !isRun(path)) throw nothingToResume(path);
      return folder;
    } catch (error) {
      folder.release();
      throw error;
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The checkpoint's path, or null if there is none yet. */
  get checkpoint(): string | null {
    const path = this.file('checkpoint.safetensors');
    return existsSync(path) ? path : null;
  }

  /** The command line that resumes this run. */
  get resumeCommand(): string {
    return resumeCommand(this.path, this.#command);
  }

  /**
   * Begins the run: removes what it will make again, of an older run or of its own end, and writes config.yaml.
   *
   * @param removed `results` of one that goes on from its checkpoint; `nothing` of one that has nothing left to train
   * @param options.curves whether it writes TensorBoard's, so that --resume DIR knows it from the beginning
   */
  async begin(
    settings: Readonly<Record<string, unknown>>,
    removed: 'everything' | 'results' | 'nothing',
    { curves = false }: { readonly curves?: boolean } = {},
  ): Promise<void> {
    if (removed === 'everything') this.#remove([...files, ...eventFiles(this.path)]);
    if (removed === 'results') this.#remove(results);
    const head = curves ? `${header(this.#command)}\n${curvesLine}` : header(this.#command);
    await writeOutput(this.file('config.yaml'), `${head}\n${toYaml(settings)}`);
  }

  /** Writes metrics.jsonl, a record a line. */
  async metrics(records: readonly object[]): Promise<void> {
    const lines = records.map((record) => `${JSON.stringify(record)}\n`);
    await writeOutput(this.file('metrics.jsonl'), lines.join(''));
  }

  /** Writes summary.json: the last file of a run, which by it is finished. */
  async summary(summary: object): Promise<void> {
    this.requireHeld();
    await writeOutput(this.file('summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  }

  /** Throws `UserError` once another machine has taken the folder over. */
  requireHeld(): void {
    this.#lock.requireHeld();
  }

  /** Lets go of the folder, which goes too if it was made for nothing. */
  release(): void {
    this.#lock.release();
    if (!this.#made) return;
    try {
      removeEmptyFolder(this.path);
    } catch {
      // The run is in it.
    }
  }

  #remove(names: readonly string[]): void {
    for (const name of names) {
      const path = this.file(name);
      try {
        removeFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(path, error) ?? error;
      }
    }
  }
}

/** Refuses a folder with a run in it, or with a file of the name of one that a run makes. */
export function refuseRun(path: string, command: RunCommand): void {
  const found = filesOf(path);
  const unbegun = found.every(
    (name) =>
      name === 'split.csv' || name === 'config.yaml' || name === 'tuning.json' || !files.includes(name),
  );
  // Ended before its first checkpoint, a run leaves nothing worth keeping; a config.yaml of the user's own is another matter.
  if (found.length === 0 || (unbegun && commandOf(path))) return;
  const finished = found.includes('summary.json');
  const what = !found.includes('config.yaml') && !found.includes('checkpoint.safetensors');
  throw new UserError(
    what
      ? `${path} holds files that a run would replace (${found.join(', ')})`
      : `${path} already holds a run${finished ? '' : ', which has not finished'}`,
    what
      ? 'Choose another folder with --out, or replace them with --overwrite.'
      : `Resume it: ${resumeCommand(path, commandOf(path) ?? command)}; start over with --overwrite, or choose another folder with --out.`,
  );
}

/**
 * Refuses a run's folder in which a name that a run writes is a symbolic link: in a folder that somebody sent it would have a file
 * elsewhere written.
 */
export function refuseLinks(path: string): void {
  for (const name of filesOf(path))
    if (lstatSync(join(path, name)).isSymbolicLink())
      throw new UserError(
        `${join(path, name)} is a symbolic link, but a run writes its own file there`,
        'Remove the link, or choose another folder.',
      );
}

/** Whether a run has begun in a folder. */
export const isRun = (path: string): boolean =>
  existsSync(join(path, 'checkpoint.safetensors')) || commandOf(path) !== undefined;

/** The settings in a run's config.yaml; null where there is none of a run. */
export function configSettings(path: string): unknown {
  if (!commandOf(path)) return null;
  try {
    return parseYaml(configOf(path)) as unknown;
  } catch (error) {
    throw new UserError(
      `${join(path, 'config.yaml')}: ${(error as Error).message.split('\n')[0]}`,
      'The file is damaged; start over with --overwrite.',
    );
  }
}

export const nothingToResume = (path: string): UserError =>
  new UserError(
    `${path}: there is nothing to resume`,
    'Name the folder of the run, --resume DIR, or omit --resume.',
  );

/** Second line of config.yaml: not a setting, since it changes nothing that is computed. */
const curvesLine = "# It writes TensorBoard's curves.";

/** Whether a run in a folder writes TensorBoard's curves; its event file alone does not tell before it is there. */
export const hasCurves = (path: string): boolean =>
  eventFiles(path).length > 0 || configOf(path).split('\n', 2)[1] === curvesLine;

function filesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  const names = new Set(readdirSync(path));
  return [...files.filter((name) => names.has(name)), ...eventFiles(path)];
}

/** Why a run's folder lacks what a finished run leaves: the training has not ended, or else `otherwise`. */
export function missingResult(folder: string, otherwise: UserError): UserError {
  return existsSync(join(folder, 'checkpoint.safetensors'))
    ? new UserError(
        `${folder}: this run has not finished`,
        `Resume it: ${resumeCommand(folder, commandOf(folder) ?? 'train')}`,
      )
    : otherwise;
}
