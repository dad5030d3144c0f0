import { inNode } from '../../common/environment.ts';
import { fnv1aHex } from '../../common/fnv1a.ts';
import { cacheFile } from '../../common/folders.ts';
import type { AdapterDescription } from './adapter.ts';

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

/** The file of an adapter in a folder of the user's cache; undefined in a browser. */
export function adapterFile(folder: string, adapter: AdapterDescription): string | undefined {
  if (!inNode) return undefined;
  const slug = adapter.name.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  return cacheFile(folder, `${slug}-${fnv1aHex(adapterKey(adapter))}.json`);
}
