import { setMaxListeners } from 'node:events';

/** How far ahead objects are fetched. */
export interface AheadLimits {
  /** Requests at once. */
  readonly requests: number;
  /** Objects that are there or on their way before they are asked for. */
  readonly objects: number;
  /** Bytes of these, besides the one that is waited for: with a large object this bounds the memory, with small ones `objects`. */
  readonly bytes: number;
}

/** Enough for some thousand objects of 100 KB a second at 30 ms each. */
export const standardAhead: AheadLimits = { requests: 32, objects: 512, bytes: 2 ** 27 };

/** Fetches one; `admit` is to be called with its size before its bytes are read. */
export type FetchOne<T, R> = (
  item: T,
  how: { readonly admit: (bytes: number) => Promise<void>; readonly signal: AbortSignal },
) => Promise<R>;

/** Fetches items in their order, ahead of their use, also while the caller is busy with those it has. */
export async function* fetchAhead<T, R>(
  items: readonly T[],
  fetchOne: FetchOne<T, R>,
  { signal: outer, ...limits }: AheadLimits & { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<R, void, undefined> {
  const ending = new AbortController();
  // Each request listens to it.
  setMaxListeners(0, ending.signal);
  const abort = () => ending.abort(outer?.reason);
  if (outer?.aborted) abort();
  outer?.addEventListener('abort', abort);
  const results: Promise<R>[] = [];
  const sizes: number[] = [];
  const waiting = new Map<number, () => void>();
  let [started, taken, requests, held] = [0, 0, 0, 0];
  const letIn = () => {
    for (const [index, go] of waiting)
      if (index === taken || held + sizes[index]! <= limits.bytes) {
        waiting.delete(index);
        held += sizes[index]!;
        go();
      }
  };
  const admit = (index: number) => (bytes: number) =>
    new Promise<void>((go) => {
      sizes[index] = bytes;
      waiting.set(index, go);
      letIn();
    });
  const start = () => {
    while (
      started < items.length &&
      requests < limits.requests &&
      started - taken < limits.objects &&
      !ending.signal.aborted
    ) {
      const index = started++;
      requests++;
      const result = fetchOne(items[index]!, { admit: admit(index), signal: ending.signal }).finally(() => {
        requests--;
        start();
      });
      // It is awaited later, or never if the caller stops: a failure meanwhile is not unhandled.
      result.catch(() => {});
      results[index] = result;
    }
  };
  try {
    for (; taken < items.length; ) {
      start();
      letIn();
      ending.signal.throwIfAborted();
      const result = await results[taken]!;
      delete results[taken];
      held -= sizes[taken] ?? 0;
      taken++;
      yield result;
    }
  } finally {
    outer?.removeEventListener('abort', abort);
    ending.abort();
    for (const go of waiting.values()) go();
  }
}
