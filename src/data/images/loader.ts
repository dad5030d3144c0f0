import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { limit } from '../../common/limits.ts';
import { type Lane, LaneLost, OwnLane, WorkerLane } from './lane.ts';
import { PixelBudget } from './pixel-budget.ts';
import type { ImageJob, PreparedImage } from './prepare.ts';

export type { ImageJob } from './prepare.ts';

/** One job's outcome; `index` counts the jobs from 0. */
export type LoadedImage =
  | { readonly index: number; readonly pixels: Uint8Array; readonly hash: string }
  | { readonly index: number; readonly error: string; readonly path: string };

export interface ImageLoaderOptions {
  /** Threads; 0 decodes in this one. By default one less than there are cores, 1 to 8. */
  readonly workers?: number;
  /** Images made ready, or being made, before they are asked for; it bounds the memory. */
  readonly ahead?: number;
  /** The worker's bundle, where it is not in its usual place. */
  readonly workerFile?: URL;
  /** Milliseconds that an image may take before its thread is given up. By default the limit `imageSeconds`, and half of it more. */
  readonly patience?: number;
}

/** Jobs a lane has at once: one is read and decoded while another is resized. More would only hold memory. */
const jobsPerLane = 2;

/** Of all loaders of the process. */
const budget = new PixelBudget();

interface Task {
  readonly job: ImageJob;
  readonly resolve: (image: PreparedImage) => void;
  readonly reject: (reason: unknown) => void;
  /** A thread was lost while it had this image and another: it is tried once more, alone. */
  suspect: boolean;
}

/**
 * Decodes, crops and resizes images ahead of their use. Results come in the order of the jobs and do not depend
 * on the number of threads. Workers start with the first job and keep no process alive that has nothing to load.
 * An image that ends or blocks its thread is an unreadable one; the others go on in a new thread.
 */
export class ImageLoader {
  readonly #ahead: number;
  readonly #workers: number;
  readonly #workerFile: URL | undefined;
  readonly #patience: number;
  #lanes: Lane[] | undefined;
  #queue: Task[] = [];
  #closed = false;

  constructor(options: ImageLoaderOptions = {}) {
    this.#workers = options.workers ?? Math.min(8, Math.max(1, availableParallelism() - 1));
    this.#ahead = Math.max(1, options.ahead ?? 64);
    this.#workerFile = options.workerFile ?? findWorker();
    // More than the decoder's own time, which ends most of what takes too long without the loss of a thread.
    this.#patience = options.patience ?? 1500 * limit('imageSeconds');
  }

  /** Results for all jobs, in order. Jobs are drawn from the iterable as room for them comes free. */
  async *load(jobs: Iterable<ImageJob>): AsyncGenerator<LoadedImage, void, undefined> {
    const source = jobs[Symbol.iterator]();
    const begun: { task: Task; image: Promise<PreparedImage> }[] = [];
    const fill = () => {
      while (begun.length < this.#ahead) {
        const next = source.next();
        if (next.done) return;
        begun.push(this.#submit(next.value));
      }
    };
    let index = 0;
    try {
      fill();
      for (let next = begun.shift(); next; next = begun.shift()) {
        const { task, image } = next;
        const done = await image;
        yield 'error' in done ? { index, error: done.error, path: task.job.path } : { index, ...done };
        index++;
        fill();
      }
    } finally {
      // Reached early when the caller stops listening: what has not begun need not.
      const abandoned = new Set(begun.map(({ task }) => task));
      this.#queue = this.#queue.filter((task) => !abandoned.has(task));
      source.return?.();
    }
  }

  /** Stops the threads; results not yet delivered are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#queue.splice(0)) task.reject(new Error('ImageLoader was closed'));
    await Promise.all((this.#lanes ?? []).map((lane) => lane.close()));
    this.#lanes = [];
  }

  #submit(job: ImageJob): { task: Task; image: Promise<PreparedImage> } {
    const { promise, resolve, reject } = withResolvers<PreparedImage>();
    // It is awaited later, or never if the caller stops: a failure meanwhile is not unhandled.
    promise.catch(() => {});
    const task = { job, resolve, reject, suspect: false };
    if (this.#closed) reject(new Error('ImageLoader was closed'));
    else this.#queue.push(task);
    this.#dispatch();
    return { task, image: promise };
  }

  #dispatch(): void {
    this.#lanes ??= this.#openLanes();
    for (let [task] = this.#queue; task && !this.#closed; [task] = this.#queue) {
      this.#lanes = this.#lanes.map((lane) => (lane.lost ? this.#openLane() : lane));
      const lane = this.#lanes.reduce((a, b) => (b.active < a.active ? b : a));
      if (lane.active >= (task.suspect ? 1 : jobsPerLane)) return;
      this.#queue.shift();
      // Alone in its thread: no other joins it there.
      const places = task.suspect ? jobsPerLane : 1;
      lane.active += places;
      lane
        .prepare(task.job)
        .then(task.resolve, (reason) => this.#failed(task, reason))
        .finally(() => {
          lane.active -= places;
          this.#dispatch();
        });
    }
  }

  #failed(task: Task, reason: unknown): void {
    if (!(reason instanceof LaneLost) || !reason.began || this.#closed) task.reject(reason);
    else if (task.suspect) task.resolve({ error: `${task.job.path}: cannot be decoded (${reason.message})` });
    else {
      task.suspect = true;
      this.#queue.unshift(task);
    }
  }

  #openLanes(): Lane[] {
    const count = this.#workerFile === undefined ? 0 : this.#workers;
    return Array.from({ length: Math.max(1, count) }, () => this.#openLane());
  }

  #openLane(): Lane {
    const workerFile = this.#workerFile;
    if (this.#workers === 0 || workerFile === undefined) return new OwnLane(budget);
    return new WorkerLane(workerFile, budget, this.#patience);
  }
}

/** The worker's bundle lies beside this module's own in `dist`; code run from TypeScript finds it there once it is built. */
function findWorker(): URL | undefined {
  const bundled = !import.meta.url.endsWith('.ts');
  const file = new URL(bundled ? './image-worker.js' : '../../../dist/image-worker.js', import.meta.url);
  return existsSync(file) ? file : undefined;
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
