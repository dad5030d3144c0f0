import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import {
  DiskFile,
  makeFolder,
  removeEmptyFolder,
  removeFile,
  renameFile,
  syncFolder,
} from '../../../common/disk.ts';
import { UserError } from '../../../common/errors.ts';
import { diskError, isAbandoned, temporaryName } from '../../../common/files.ts';
import { distortionNames } from '../../images/distort.ts';
import { sceneKinds } from './draw.ts';

/**
 * A folder of scenes in the making: filled beside its place under a name that tells whose it is, and given its own name at the
 * end. What is removed here was drawn by this program, file by file; a folder that holds anything is never replaced.
 */
export class SceneFolder {
  readonly #folder: string;
  readonly #unfinished: string;
  readonly #written: string[] = [];
  #done = false;

  /** @throws UserError if the folder holds anything or its surroundings cannot be written */
  constructor(folder: string) {
    this.#folder = refusing(folder, () => {
      const place = existsSync(folder) ? realpathSync(folder) : resolve(folder);
      if (existsSync(place) && readdirSync(place).length > 0)
        throw new UserError(
          `${folder} is not empty, so no scenes are generated there`,
          'Choose an empty folder or a new one.',
        );
      return place;
    });
    const beside = dirname(this.#folder);
    this.#unfinished = join(beside, temporaryName());
    refusing(folder, () => {
      makeFolder(beside);
      removeAbandoned(beside);
      makeFolder(this.#unfinished);
    });
  }

  /** Writes a new file. */
  write(name: string, bytes: Uint8Array): void {
    refusing(this.#folder, () => {
      const file = new DiskFile(join(this.#unfinished, name), 'wx');
      this.#written.push(name);
      try {
        file.write(bytes);
        file.sync();
      } finally {
        file.close();
      }
    });
  }

  /** Gives the folder its name, unless another process has done so with its own in the meantime. */
  commit(): void {
    refusing(this.#folder, () => {
      try {
        syncFolder(this.#unfinished);
        // Replaces nothing but an empty folder.
        renameFile(this.#unfinished, this.#folder);
        this.#done = true;
      } catch (error) {
        if (existsSync(join(this.#folder, 'data.csv'))) return;
        const taken = ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
        if (!taken) throw error;
        throw new UserError(`${this.#folder} is no longer empty`, 'Choose another folder for the scenes.');
      }
    });
  }

  /** Removes what was drawn, if it was of no use. */
  abandon(): void {
    if (this.#done) return;
    this.#done = true;
    removeDrawn(this.#unfinished, this.#written);
  }
}

const drawn = new RegExp(
  `^(?:(?:${sceneKinds.join('|')})_\\d+_\\d+_(?:clean|${distortionNames.join('|')})\\.png|data\\.csv)$`,
);

/** What processes that have gone left unfinished in a folder: nothing but the files that are drawn here, and the emptied folder. */
function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!isAbandoned(name) || !lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) continue;
    removeDrawn(
      path,
      readdirSync(path).filter((file) => drawn.test(basename(file))),
    );
  }
}

function removeDrawn(folder: string, names: readonly string[]): void {
  try {
    for (const name of names) removeFile(join(folder, name));
    removeEmptyFolder(folder);
  } catch {
    // Something else lies there, or another process is clearing up too: it stays, and is in nobody's way.
  }
}

function refusing<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(folder, error) ?? error;
  }
}
