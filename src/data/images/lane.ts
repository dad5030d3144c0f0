import { Worker } from 'node:worker_threads';
import type { PixelBudget } from './pixel-budget.ts';
import {
  type Admission,
  type ImageJob,
  type KnownImage,
  type PreparedImage,
  type PrepareTimes,
  prepareFile,
} from './prepare.ts';
import type { WorkerReply, WorkerRequest, WorkerStart } from './worker.ts';

/** The jobs of one file, and which of them are wanted where it has this hash; without that it is not hashed. */
export interface FileJobs {
  readonly jobs: readonly [ImageJob, ...ImageJob[]];
  readonly wanted: ((hash: string) => readonly boolean[]) | undefined;
}

export type Outcome = PreparedImage | KnownImage;

/** Told what each file took. */
export type Spent = (times: PrepareTimes) => void;

/** A thread that prepares images: a worker, or this one. */
export interface Lane {
  /** Files it has. */
  active: number;
  /** Whether its thread has gone; then it takes no more jobs. */
  readonly lost: boolean;
  /** @throws LaneLost where the thread ended or hung while it had the file, which need not have been the cause */
  prepare(file: FileJobs): Promise<readonly Outcome[]>;
  close(): Promise<void>;
}

/** A thread ended, or gave no answer for too long. */
export class LaneLost extends Error {
  /** Whether it had begun to work: if not, no image is to blame. */
  readonly began: boolean;

  constructor(message: string, began: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'LaneLost';
    this.began = began;
  }
}

/** Milliseconds that a thread may take to begin. */
const startTime = 60_000;

/**
 * What is posted to a thread is copied, so that the caller keeps its bytes, and with a view goes all of the memory it is of: of one
 * that is part of a larger, such as a Buffer of Node's pool, only its own bytes are sent.
 */
function compact(jobs: FileJobs['jobs']): FileJobs['jobs'] {
  const { image } = jobs[0];
  if (!image) return jobs;
  const own = image instanceof Uint8Array ? ownBytes(image) : { ...image, data: ownBytes(image.data) };
  const [first, ...more] = jobs.map((job) => ({ ...job, image: own }));
  return [first!, ...more];
}

/** A plain array of what it says; what is no bytes is refused by the thread. */
const ownBytes = <T extends Uint8Array | Uint8ClampedArray>(bytes: T): Uint8Array =>
  ArrayBuffer.isView(bytes) && bytes.byteLength < bytes.buffer.byteLength
    ? Uint8Array.prototype.slice.call(bytes)
    : (bytes as Uint8Array);

/** Asks the budget for a file, and gives back in the end whatever was admitted. */
async function withAdmission<T>(
  budget: PixelBudget,
  signal: AbortSignal,
  work: (admit: Admission) => Promise<T>,
): Promise<T> {
  let release: (() => void) | undefined;
  try {
    return await work(async (pixels) => {
      release = await budget.admit(pixels, signal);
    });
  } finally {
    release?.();
  }
}

/** Prepares images in this thread. */
export class OwnLane implements Lane {
  active = 0;
  readonly lost = false;
  readonly #budget: PixelBudget;
  readonly #closing = new AbortController();
  readonly #spent: Spent;

  constructor(budget: PixelBudget, spent: Spent = () => {}) {
    this.#budget = budget;
    this.#spent = spent;
  }

  prepare({ jobs, wanted }: FileJobs): Promise<readonly Outcome[]> {
    return withAdmission(this.#budget, this.#closing.signal, (admit) =>
      prepareFile(jobs, { admit, wanted: wanted && (async (hash) => wanted(hash)), spent: this.#spent }),
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }
}

interface Pending {
  readonly resolve: (images: readonly Outcome[]) => void;
  readonly reject: (reason: unknown) => void;
  readonly admit: Admission;
  readonly wanted: FileJobs['wanted'];
  /** Runs while the file is at work, not while it waits to be admitted. */
  watchdog?: NodeJS.Timeout;
}

/** Prepares images in a worker thread. */
export class WorkerLane implements Lane {
  active = 0;
  readonly #worker: Worker;
  readonly #budget: PixelBudget;
  readonly #timeoutMs: number;
  readonly #spent: Spent;
  readonly #pending = new Map<number, Pending>();
  readonly #ending = new AbortController();
  #nextId = 0;
  readonly #began = new Int32Array(new SharedArrayBuffer(4));
  readonly #starting: NodeJS.Timeout;
  /** Why the thread is no more, once it is. */
  #ended: { readonly reason: unknown } | undefined;

  /** @param timeoutMs that an image may take */
  constructor(file: URL, budget: PixelBudget, timeoutMs: number, spent: Spent = () => {}) {
    this.#spent = spent;
    this.#budget = budget;
    this.#timeoutMs = timeoutMs;
    this.#worker = new Worker(file, {
      execArgv: [],
      workerData: { began: this.#began } satisfies WorkerStart,
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: WorkerReply) => this.#receive(reply));
    this.#starting = setTimeout(() => this.#giveUp(startTime), startTime).unref();
    this.#worker.on('error', (error) => this.#lose(`a decoding thread failed: ${error.message}`, error));
    this.#worker.on('exit', (code) => this.#lose(`a decoding thread exited (exit code ${code})`));
  }

  get lost(): boolean {
    return this.#ended !== undefined;
  }

  prepare({ jobs, wanted }: FileJobs): Promise<readonly Outcome[]> {
    return withAdmission(this.#budget, this.#ending.signal, (admit) => {
      if (this.#ended) throw this.#ended.reason;
      return new Promise((resolve, reject) => {
        const id = this.#nextId++;
        this.#pending.set(id, { resolve, reject, admit, wanted });
        this.#watch(id);
        this.#worker.ref();
        this.#post({ id, jobs: compact(jobs), hashed: wanted !== undefined });
      });
    });
  }

  async close(): Promise<void> {
    this.#end(new Error('ImageLoader was closed'));
    await this.#worker.terminate();
  }

  #receive(reply: WorkerReply): void {
    if (reply.kind === 'ready') this.#begin();
    else if (reply.kind === 'done') {
      this.#spent(reply.times);
      this.#take(reply.id)?.resolve(reply.images);
    } else if (reply.kind === 'hash') this.#choose(reply.id, reply.hash);
    else if (reply.kind === 'bug') this.#take(reply.id)?.reject(reply.bug);
    else void this.#admit(reply.id, reply.pixels);
  }

  get #hasBegun(): boolean {
    return Atomics.load(this.#began, 0) === 1;
  }

  #begin(): void {
    clearTimeout(this.#starting);
    for (const id of this.#pending.keys()) this.#watch(id);
  }

  #post(request: WorkerRequest): void {
    this.#worker.postMessage(request);
  }

  #choose(id: number, hash: string): void {
    const wanted = this.#pending.get(id)?.wanted?.(hash);
    if (wanted) this.#post({ id, wanted });
  }

  async #admit(id: number, pixels: number): Promise<void> {
    const pending = this.#pending.get(id);
    if (!pending) return;
    clearTimeout(pending.watchdog);
    await pending.admit(pixels);
    if (!this.#pending.has(id)) return;
    this.#watch(id);
    this.#post({ id, admitted: true });
  }

  #watch(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending || !this.#hasBegun) return;
    clearTimeout(pending.watchdog);
    pending.watchdog = setTimeout(() => this.#giveUp(this.#timeoutMs), this.#timeoutMs);
  }

  #giveUp(after: number): void {
    this.#lose(`a decoding thread did not respond for ${after / 1000} s`);
    // Not waited for: what runs in native code ends when it will.
    void this.#worker.terminate();
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.watchdog);
    // Not once it is being ended: a late reply would let go of the thread, and the process end before close() returns.
    if (this.#pending.size === 0 && !this.#ended) this.#worker.unref();
    return pending;
  }

  #lose(message: string, cause?: unknown): void {
    this.#end(new LaneLost(message, this.#hasBegun, cause));
  }

  #end(reason: unknown): void {
    this.#ended ??= { reason };
    clearTimeout(this.#starting);
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(this.#ended.reason);
    this.#ending.abort();
  }
}
