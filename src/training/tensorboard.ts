import { readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DiskFile, removeFile } from '../common/disk.ts';
import { diskError, writeOutput } from '../common/files.ts';
import { fileVersionRecord, scalarsRecord } from '../data/formats/tfevents.ts';
import type { EpochRecord } from './training-state.ts';

const prefix = 'events.out.tfevents.';

/** The event files in a folder. */
export const eventFiles = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith(prefix));

/**
 * A run's curves for TensorBoard (`tensorboard --logdir output`): one event file, to which each epoch appends. A run
 * that is resumed writes its earlier epochs again and takes the old file away, so that none is shown twice.
 */
export class TensorBoardLog {
  readonly #path: string;
  #written = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Begins the event file in a run's folder, in place of any there is. */
  static async open(folder: string): Promise<TensorBoardLog> {
    const now = Date.now() / 1000;
    // TensorBoard reads on in the name that sorts last.
    const name = `${prefix}${Math.floor(now)}.${hostname()}.${process.pid}`;
    const path = join(folder, name);
    await writeOutput(path, fileVersionRecord(now));
    for (const old of eventFiles(folder)) if (old !== name) removeFile(join(folder, old));
    return new TensorBoardLog(path);
  }

  /** Appends the epochs that are not yet written; `records`: all so far. */
  write(records: readonly EpochRecord[]): void {
    const fresh = records.slice(this.#written);
    if (fresh.length === 0) return;
    // Epochs of before a resumption get the times at which they would have ended.
    let wallTime = Date.now() / 1000 - fresh.slice(1).reduce((sum, { seconds }) => sum + seconds, 0);
    const events = fresh.map((record, i) => {
      if (i > 0) wallTime += record.seconds;
      return scalarsRecord({ wallTime, step: record.epoch, scalars: scalarsOf(record) });
    });
    try {
      const file = new DiskFile(this.#path, 'a');
      try {
        file.write(Buffer.concat(events));
      } finally {
        file.close();
      }
    } catch (error) {
      throw diskError(this.#path, error) ?? error;
    }
    this.#written = records.length;
  }
}

/** Tags by part: `train/loss`, `train/learning_rate`, `test/srcc` … */
function scalarsOf({ lr, loss, seconds, val, test, accuracy }: EpochRecord): Record<string, number> {
  const scalars: Record<string, number> = {
    'train/loss': loss,
    'train/learning_rate': lr,
    'train/seconds': seconds,
  };
  for (const [part, metrics] of Object.entries({ val, test })) {
    for (const name of ['srcc', 'plcc', 'krcc', 'rmse', 'mae'] as const)
      if (metrics) scalars[`${part}/${name}`] = metrics[name];
    const right = accuracy?.[part as 'val' | 'test'];
    if (typeof right === 'number') scalars[`${part}/accuracy`] = right;
  }
  return scalars;
}
