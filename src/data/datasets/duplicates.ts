import { statSync } from 'node:fs';
import { UserError } from '../../common/errors.ts';
import { hashImage } from '../images/prepare.ts';
import type { Dataset, Label } from './dataset.ts';

/**
 * Refuses labels of which two are of one image: it would be trained on and tested with, or count twice.
 *
 * @param paths the image of each label, if there is one
 */
export function refuseRepeated(
  root: string,
  labels: readonly Label[],
  paths: readonly (string | undefined)[],
) {
  const first = new Map<string, Label>();
  for (const [at, label] of labels.entries()) {
    const path = paths[at];
    if (path === undefined) continue;
    const other = first.get(path);
    if (other)
      throw new UserError(
        `${root}: image ${label.name} has more than one score: ${other.mos} and ${label.mos}`,
        'Keep one row for each image; where several people scored it, use their mean.',
      );
    first.set(path, label);
  }
}

/** A training image that is, byte for byte, also in the validation or the test part; both as positions in `samples`. */
export interface Twin {
  readonly trained: number;
  readonly held: number;
}

/** Training images that a dataset holds out as well, under another name. Only files of one size are read. */
export async function trainedAndHeld({ samples, split }: Dataset): Promise<Twin[]> {
  const held = bySize(samples, [...split.test, ...split.val]);
  const hashes = new Map<number, Promise<string | null>>();
  const hashOf = (at: number) => {
    let hash = hashes.get(at);
    // One that cannot be read is reported when it is decoded.
    if (!hash) hashes.set(at, (hash = hashImage(samples[at]!.path).catch(() => null)));
    return hash;
  };
  const twins: Twin[] = [];
  for (const [size, trained] of bySize(samples, split.train)) {
    const others = new Map<string, number>();
    for (const at of held.get(size) ?? []) {
      const hash = await hashOf(at);
      if (hash !== null) others.set(hash, at);
    }
    if (others.size === 0) continue;
    for (const at of trained) {
      const other = others.get((await hashOf(at)) ?? '');
      if (other !== undefined) twins.push({ trained: at, held: other });
    }
  }
  return twins;
}

function bySize(samples: Dataset['samples'], part: Iterable<number>): Map<number, number[]> {
  const sizes = new Map<number, number[]>();
  for (const at of part) {
    const size = statSync(samples[at]!.path, { throwIfNoEntry: false })?.size ?? 0;
    const list = sizes.get(size);
    if (list) list.push(at);
    else sizes.set(size, [at]);
  }
  return sizes;
}
