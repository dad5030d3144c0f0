import { shown } from './errors.ts';

/** The entry of a key that is there unless the program is wrong; the error then names the key. */
export function getOrThrow<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`no entry named ${shown(key)}`);
  return value;
}
