import type { AdapterDescription } from './adapter-description.ts';

/** What is found out about an adapter holds for it, its driver, and the features that decide which variants exist. */
export function adapterKey(adapter: AdapterDescription): string {
  return [
    adapter.vendor,
    adapter.architecture,
    adapter.name,
    adapter.driver,
    ...[...adapter.features].sort(),
    ...(adapter.profile ? [adapter.profile] : []),
    ...(adapter.masked ?? []),
  ].join('|');
}

/** What is kept of an adapter: which kernel variants are fastest, and what a self-check found. */
export type StoredKind = 'tuning' | 'self-check';

/** Keeps what is found out about an adapter from one run to the next: files in Node, the storage of a browser. It may lose what it was given. */
export interface AdapterStore {
  /** The text of this kind written last for this adapter; undefined where there is none. */
  read(kind: StoredKind, adapter: AdapterDescription): string | undefined;
  /** Keeps a text for this adapter, if it can. */
  write(kind: StoredKind, adapter: AdapterDescription, text: string): Promise<void>;
}
