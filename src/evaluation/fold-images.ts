import type { Dataset } from '../data/datasets/index.ts';
import { EncodedSoFar } from '../features/dataset-features.ts';
import type { Settings } from '../training/settings.ts';
import type { Fold } from './folds.ts';

/** Random crops are drawn by the seed; center crops are the same for all. */
export function encodedFor(
  known: Map<number, EncodedSoFar>,
  { augment, views }: Settings,
  seed: number,
): EncodedSoFar {
  const key = augment === 'crop' && views > 0 ? seed : -1;
  let found = known.get(key);
  if (!found) known.set(key, (found = new EncodedSoFar()));
  return found;
}

/** All images that some folds train on and test with. */
export function unionOf(folds: readonly Fold[]): Dataset['split'] {
  const centered = new Set(folds.flatMap(({ split }) => [...split.val, ...split.test]));
  const trained = new Set(folds.flatMap(({ split }) => [...split.train]));
  const sorted = (set: ReadonlySet<number>) => Int32Array.from(set).sort();
  return { train: sorted(trained), val: new Int32Array(), test: sorted(centered) };
}
