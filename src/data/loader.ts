import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type PictureJob, type PreparedPicture, preparePicture } from './picture.ts';
import type { WorkerReply, WorkerRequest } from './picture-worker.ts';

export type { PictureJob } from './picture.ts';

/** One job's outcome; `index` counts the jobs from 0. */
export type LoadedPicture =
  | { readonly index: number; readonly pixels: Uint8Array; readonly hash: string }
  | { readonly index: number; readonly error: string; readonly path: string };

export interface PictureLoaderOptions {
  /** Threads; 0 decodes in this one. By default one less than there are cores, 1 to 8. */
  readonly workers?: number;
  /** Pictures made ready, or being made, before they are asked for; it bounds the memory. */
  readonly ahead?: number;
  /** The worker's bundle, where it is not in its usual place. */
  readonly workerFile?: URL;
}

/** Jobs a lane has at once: one is read and decoded while another is resized. More would only hold memory. */
const JOBS_PER_LANE = 2;

/** A thread that prepares pictures: a worker, or this one. */
interface Lane {
  active: number;
  prepare(job: PictureJob): Promise<PreparedPicture>;
  close(): Promise<void>;
}

interface Task {
  readonly job: PictureJob;
  readonly resolve: (picture: PreparedPicture) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Decodes, crops and resizes pictures ahead of their use. Results come in the order of the jobs and do not depend
 * on the number of threads. Workers start with the first job and keep no process alive that has nothing to load.
 */
export class PictureLoader {
  private readonly ahead: number;
  private readonly workers: number;
  private readonly workerFile: URL | undefined;
  private lanes: Lane[] | undefined;
  private queue: Task[] = [];
  private closed = false;

  constructor(options: PictureLoaderOptions = {}) {
    this.workers = options.workers ?? Math.min(8, Math.max(1, availableParallelism() - 1));
    this.ahead = Math.max(1, options.ahead ?? 64);
    this.workerFile = options.workerFile ?? findWorker();
  }

  /** Results for all jobs, in order. Jobs are drawn from the iterable as room for them comes free. */
  async *load(jobs: Iterable<PictureJob>): AsyncGenerator<LoadedPicture, void, undefined> {
    const source = jobs[Symbol.iterator]();
    const begun: { task: Task; picture: Promise<PreparedPicture> }[] = [];
    const fill = () => {
      while (begun.length < this.ahead) {
        const next = source.next();
        if (next.done) return;
        begun.push(this.submit(next.value));
      }
    };
    let index = 0;
    try {
      for (fill(); begun.length > 0; fill()) {
        const { task, picture } = begun.shift()!;
        const done = await picture;
        yield 'error' in done ? { index, error: done.error, path: task.job.path } : { index, ...done };
        index++;
      }
    } finally {
      // Reached early when the caller stops listening: what has not begun need not.
      const abandoned = new Set(begun.map(({ task }) => task));
      this.queue = this.queue.filter((task) => !abandoned.has(task));
      source.return?.();
    }
  }

  /** Stops the threads; results not yet delivered are refused. */
  async close(): Promise<void> {
    this.closed = true;
    for (const task of this.queue.splice(0)) task.reject(new Error('PictureLoader was closed'));
    await Promise.all((this.lanes ?? []).map((lane) => lane.close()));
    this.lanes = [];
  }

  private submit(job: PictureJob): { task: Task; picture: Promise<PreparedPicture> } {
    const { promise, resolve, reject } = withResolvers<PreparedPicture>();
    // It is awaited later, or never if the caller stops: a failure meanwhile is not unhandled.
    promise.catch(() => {});
    const task = { job, resolve, reject };
    if (this.closed) reject(new Error('PictureLoader was closed'));
    else this.queue.push(task);
    this.dispatch();
    return { task, picture: promise };
  }

  private dispatch(): void {
    this.lanes ??= this.openLanes();
    while (this.queue.length > 0) {
      const lane = this.lanes.reduce((a, b) => (b.active < a.active ? b : a));
      if (lane.active >= JOBS_PER_LANE) return;
      const { job, resolve, reject } = this.queue.shift()!;
      lane.active++;
      lane
        .prepare(job)
        .then(resolve, reject)
        .finally(() => {
          lane.active--;
          if (!this.closed) this.dispatch();
        });
    }
  }

  private openLanes(): Lane[] {
    const { workerFile, workers } = this;
    if (workers === 0 || workerFile === undefined)
      return [{ active: 0, prepare: preparePicture, close: async () => {} }];
    return Array.from({ length: workers }, () => new WorkerLane(workerFile));
  }
}

class WorkerLane implements Lane {
  active = 0;
  private readonly worker: Worker;
  private readonly pending = new Map<number, Omit<Task, 'job'>>();
  private nextId = 0;
  /** Why the thread is no more, once it is. */
  private ended: { readonly reason: unknown } | undefined;

  constructor(file: URL) {
    this.worker = new Worker(file, { execArgv: [] });
    this.worker.unref();
    this.worker.on('message', ({ id, picture, bug }: WorkerReply) => {
      const task = this.take(id);
      if (picture) task?.resolve(picture);
      else task?.reject(bug);
    });
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', (code) => this.fail(new Error(`a picture thread ended (exit code ${code})`)));
  }

  async prepare(job: PictureJob): Promise<PreparedPicture> {
    if (this.ended) throw this.ended.reason;
    const { promise, resolve, reject } = withResolvers<PreparedPicture>();
    const id = this.nextId++;
    this.pending.set(id, { resolve, reject });
    this.worker.ref();
    this.worker.postMessage({ id, job } satisfies WorkerRequest);
    return promise;
  }

  async close(): Promise<void> {
    this.fail(new Error('PictureLoader was closed'));
    await this.worker.terminate();
  }

  private take(id: number): Omit<Task, 'job'> | undefined {
    const task = this.pending.get(id);
    this.pending.delete(id);
    // Not once it is being ended: a late reply would let go of the thread, and the process end before close() returns.
    if (this.pending.size === 0 && !this.ended) this.worker.unref();
    return task;
  }

  private fail(reason: unknown): void {
    this.ended ??= { reason };
    for (const id of [...this.pending.keys()]) this.take(id)?.reject(reason);
  }
}

/** The worker's bundle lies beside this module's own in `dist`; code run from TypeScript finds it there once it is built. */
function findWorker(): URL | undefined {
  const bundled = !import.meta.url.endsWith('.ts');
  const file = new URL(bundled ? './picture-worker.js' : '../../dist/picture-worker.js', import.meta.url);
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
