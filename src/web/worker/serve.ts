import { Stopped, UserError } from '../../common/errors.ts';
import { DeviceLostError } from '../../kernels/device/errors.ts';
import { OutOfMemoryError } from '../../kernels/device/memory.ts';
import type { Answer, CallName, Calls, Failure, Note, Request } from '../protocol.ts';

/** How a call is answered. */
export type Handlers = {
  readonly [Name in CallName]: (
    args: Calls[Name]['args'],
    call: { readonly tell: (event: Calls[Name]['event']) => void; readonly signal: AbortSignal },
  ) => Promise<Calls[Name]['result']>;
};

/** What of a worker's global object is used. */
interface WorkerScope {
  postMessage(message: Answer): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<Request>) => void): void;
}

const scope = globalThis as unknown as WorkerScope;

export const say = (note: Note): void => scope.postMessage({ note });

/** Answers the page's calls, one after the other: the device is one. */
export function serve(handlers: Handlers): void {
  const running = new Map<number, AbortController>();
  let last: Promise<unknown> = Promise.resolve();
  scope.addEventListener('message', ({ data }) => {
    const { id } = data;
    if ('stop' in data) {
      running.get(id)?.abort();
      return;
    }
    const controller = new AbortController();
    running.set(id, controller);
    const call = {
      tell: (event: unknown) => scope.postMessage({ id, event }),
      signal: controller.signal,
    };
    const handle = handlers[data.name] as (args: unknown, rest: typeof call) => Promise<unknown>;
    last = last
      .then(() => {
        controller.signal.throwIfAborted();
        return handle(data.args, call);
      })
      .then(
        (result) => scope.postMessage({ id, result }),
        (error: unknown) => scope.postMessage({ id, failure: failureOf(error, controller.signal) }),
      )
      .finally(() => running.delete(id));
  });
}

function failureOf(error: unknown, signal: AbortSignal): Failure {
  const { message } = error instanceof Error ? error : new Error(String(error));
  if (signal.aborted || error instanceof Stopped) return { kind: 'stopped', message };
  if (error instanceof DeviceLostError) return { kind: 'lost', message };
  if (error instanceof OutOfMemoryError) return { kind: 'memory', message };
  if (error instanceof UserError) return { kind: 'user', message, advice: error.advice };
  console.error(error);
  return { kind: 'bug', message };
}
