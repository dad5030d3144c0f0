import type { Answer, CallName, Calls, Engine, Failure, Note } from './protocol.ts';

/** A call that failed. */
export class CallError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  readonly tell: ((event: never) => void) | undefined;
}

/** The engine in its worker, as the page calls it. */
export class EngineClient implements Engine {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(note: Note) => void>();
  #next = 1;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.#receive(data));
    worker.addEventListener('error', (event) => {
      const message = event.message || 'the worker did not start';
      for (const { reject } of this.#waiting.values()) reject(new CallError({ kind: 'bug', message }));
      this.#waiting.clear();
    });
  }

  call<Name extends CallName>(
    name: Name,
    args: Calls[Name]['args'],
    options: { readonly tell?: (event: Calls[Name]['event']) => void; readonly signal?: AbortSignal } = {},
  ): Promise<Calls[Name]['result']> {
    const id = this.#next++;
    const { tell, signal } = options;
    signal?.addEventListener('abort', () => this.#worker.postMessage({ id, stop: true }));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, tell });
      this.#worker.postMessage({ id, name, args });
    });
  }

  /** What the worker says unasked. */
  onNote(listener: (note: Note) => void): void {
    this.#listeners.add(listener);
  }

  #receive(answer: Answer): void {
    if ('note' in answer) {
      for (const listener of this.#listeners) listener(answer.note);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    if ('event' in answer) {
      waiting.tell?.(answer.event as never);
      return;
    }
    this.#waiting.delete(answer.id);
    if ('failure' in answer) waiting.reject(new CallError(answer.failure));
    else waiting.resolve(answer.result as never);
  }
}

/** Runs the newest of what is asked for; what came between is left out. */
export class Newest<Args> {
  readonly #work: (args: Args) => Promise<void>;
  #next: Args | undefined;
  #busy = false;

  constructor(work: (args: Args) => Promise<void>) {
    this.#work = work;
  }

  async ask(args: Args): Promise<void> {
    this.#next = args;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#next !== undefined) {
        const now = this.#next;
        this.#next = undefined;
        await this.#work(now);
      }
    } finally {
      this.#busy = false;
    }
  }
}
