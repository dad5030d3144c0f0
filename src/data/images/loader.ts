import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { UserError } from '../../common/errors.ts';
import { limit } from '../../common/limits.ts';
import { type FileJobs, type Lane, LaneLost, type Outcome, OwnLane, type Spent, WorkerLane } from './lane.ts';
import { PixelBudget } from './pixel-budget.ts';
import type { ImageJob, KnownImage } from './prepare.ts';

export type { ImageJob } from './prepare.ts';

/** One job's outcome; `index` counts the jobs from 0. The hash is there where it was asked whether the image is wanted. */
export type LoadedImage =
  | { readonly index: number; readonly pixels: Uint8Array; readonly hash?: string }
  | { readonly index: number; readonly error: string; readonly path: string };

/** Of an image that was not wanted: its file's hash. */
export type UnwantedImage = KnownImage & { readonly index: number };

export interface ImageLoaderOptions {
  /** Threads; 0 decodes in this one. By default what {@link decodeThreadsVariable} says, or one less than there are cores, 1 at least. */
  readonly workers?: number;
  /** Images made ready, or being made, before they are asked for; it bounds the memory. */
  readonly ahead?: number;
  /** The worker's bundle, where it is not in its usual place. */
  readonly workerFile?: URL;
  /** Milliseconds that an image may take before its thread is given up. By default the limit `imageSeconds`, and half of it more. */
  readonly timeoutMs?: number;
}

/** The variable of the environment that says how many threads a loader has, where a machine has many cores, or fewer than it shows. */
export const decodeThreadsVariable = 'CLIP_AGIQA_DECODE_THREADS';

/** Threads of a loader, where nobody says how many: by default all cores but the one that feeds the device. */
export function defaultThreads(): number {
  const text = process.env[decodeThreadsVariable] ?? '';
  if (text === '') return Math.max(1, availableParallelism() - 1);
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new UserError(`${decodeThreadsVariable} is ${text}, not a number of threads`, 'Write 1 to 999.');
}

/** Files a lane has at once: one is read and decoded while another is resized. More would only hold memory. */
const filesPerLane = 2;

/** Of all loaders of the process. */
const budget = new PixelBudget();

interface Task extends FileJobs {
  readonly resolve: (images: readonly Outcome[]) => void;
  readonly reject: (reason: unknown) => void;
  /** A thread was lost while it had this file and another: it is tried once more, alone. */
  suspect: boolean;
}

/**
 * Decodes, crops and resizes images ahead of their use. Results come in the order of the jobs and do not depend
 * on the number of threads. A file that consecutive jobs name is read and decoded once. Workers start with the first job and keep no process alive that has nothing to load.
 * An image that ends or blocks its thread is an unreadable one; the others go on in a new thread.
 */
export class ImageLoader {
  readonly #ahead: number;
  readonly #workers: number;
  readonly #workerFile: URL | undefined;
  readonly #timeoutMs: number;
  #lanes: Lane[] | undefined;
  #queue: Task[] = [];
  /** Milliseconds so far to read files, and to decode and make ready their images, summed over all threads. */
  readonly times = { read: 0, decode: 0 };
  readonly #spent: Spent = ({ read, decode }) => {
    this.times.read += read;
    this.times.decode += decode;
  };
  #closed = false;

  constructor(options: ImageLoaderOptions = {}) {
    this.#workers = options.workers ?? defaultThreads();
    this.#ahead = Math.max(1, options.ahead ?? 64);
    this.#workerFile = options.workerFile ?? findWorker();
    // More than the decoder's own time, which ends most of what takes too long without the loss of a thread.
    this.#timeoutMs = options.timeoutMs ?? 1500 * limit('imageSeconds');
  }

  load(jobs: Iterable<ImageJob>): AsyncGenerator<LoadedImage, void, undefined>;
  /** `wanted`: whether an image is still to be made, now that its file's hash is known. */
  load(
    jobs: Iterable<ImageJob>,
    wanted: ((job: ImageJob, hash: string) => boolean) | undefined,
  ): AsyncGenerator<LoadedImage | UnwantedImage, void, undefined>;
  /** Results for all jobs, in order. Jobs are drawn from the iterable as room for them comes free. */
  async *load(
    jobs: Iterable<ImageJob>,
    wanted?: (job: ImageJob, hash: string) => boolean,
  ): AsyncGenerator<LoadedImage | UnwantedImage, void, undefined> {
    const source = jobs[Symbol.iterator]();
    const begun: { task: Task; images: Promise<readonly Outcome[]> }[] = [];
    /** Jobs of one file, as long as the next may be of that file too. */
    let open: ImageJob[] = [];
    let held = 0;
    let ended = false;
    const begin = () => {
      const [first, ...more] = open;
      if (first) begun.push(this.#submit([first, ...more], wanted));
      open = [];
    };
    const fill = () => {
      while (!ended && held < this.#ahead) {
        const next = source.next();
        if (next.done) {
          ended = true;
          break;
        }
        if (open[0]?.path !== next.value.path || open[0].image !== next.value.image) begin();
        open.push(next.value);
        held++;
      }
      if (ended || begun.length === 0) begin();
    };
    let index = 0;
    try {
      fill();
      for (let next = begun.shift(); next; next = begun.shift()) {
        const { path } = next.task.jobs[0];
        for (const image of await next.images) {
          yield 'error' in image ? { index, error: image.error, path } : { index, ...image };
          index++;
          held--;
        }
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

  #submit(
    jobs: FileJobs['jobs'],
    wanted: ((job: ImageJob, hash: string) => boolean) | undefined,
  ): { task: Task; images: Promise<readonly Outcome[]> } {
    const { promise, resolve, reject } = withResolvers<readonly Outcome[]>();
    // It is awaited later, or never if the caller stops: a failure meanwhile is not unhandled.
    promise.catch(() => {});
    const task: Task = {
      jobs,
      wanted: wanted && ((hash) => jobs.map((job) => wanted(job, hash))),
      resolve,
      reject,
      suspect: false,
    };
    if (this.#closed) reject(new Error('ImageLoader was closed'));
    else this.#queue.push(task);
    this.#dispatch();
    return { task, images: promise };
  }

  #dispatch(): void {
    this.#lanes ??= this.#openLanes();
    for (let [task] = this.#queue; task && !this.#closed; [task] = this.#queue) {
      this.#lanes = this.#lanes.map((lane) => (lane.lost ? this.#openLane() : lane));
      const lane = this.#lanes.reduce((a, b) => (b.active < a.active ? b : a));
      if (lane.active >= (task.suspect ? 1 : filesPerLane)) return;
      this.#queue.shift();
      // Alone in its thread: no other joins it there.
      const places = task.suspect ? filesPerLane : 1;
      lane.active += places;
      lane
        .prepare(task)
        .then(task.resolve, (reason) => this.#failed(task, reason))
        .finally(() => {
          lane.active -= places;
          this.#dispatch();
        });
    }
  }

  #failed(task: Task, reason: unknown): void {
    if (!(reason instanceof LaneLost) || !reason.began || this.#closed) task.reject(reason);
    else if (task.suspect) {
      const error = `${task.jobs[0].path}: cannot be decoded (${reason.message})`;
      task.resolve(task.jobs.map(() => ({ error })));
    } else {
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
    if (this.#workers === 0 || workerFile === undefined) return new OwnLane(budget, this.#spent);
    return new WorkerLane(workerFile, budget, this.#timeoutMs, this.#spent);
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
