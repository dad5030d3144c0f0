import { permutation, streams } from '../../common/random.ts';
import type { Dataset } from './index.ts';

/** Which fold each prompt is in: dealt in random order, each to the fold with the fewest images so far. */
export function dealContents(
  { samples }: Pick<Dataset, 'samples'>,
  used: readonly number[],
  folds: number,
  seed: number,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const at of used) {
    const { content } = samples[at]!;
    if (content !== undefined) counts.set(content, (counts.get(content) ?? 0) + 1);
  }
  const names = [...counts.keys()].sort();
  const sizes = new Array<number>(folds).fill(0);
  const foldOf = new Map<string, number>();
  for (const at of permutation(names.length, seed, streams.folds)) {
    const name = names[at]!;
    const fold = sizes.indexOf(Math.min(...sizes));
    foldOf.set(name, fold);
    sizes[fold]! += counts.get(name)!;
  }
  return foldOf;
}
