import type { Reporter } from '../common/reporter.ts';
import { trainedAndHeld } from '../data/datasets/duplicates.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { samePictures } from '../features/same-pictures.ts';

/**
 * Warns, in one line, where a training image nearly shows the picture of a test or validation image, such as the same one in another
 * compression. Images that are the same byte for byte are told of without a look at their pixels; see `tellOfData`.
 *
 * @param options.cache a `--cache` setting
 */
export async function tellOfPictures(
  dataset: Dataset,
  options: { readonly cache: string; readonly reporter: Reporter; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { samples, split, versions } = dataset;
  const held = [...split.test, ...split.val];
  if (versions || held.length === 0 || split.train.length === 0) return;
  const pictures = await samePictures(samples, [...split.train, ...held], options);
  const heldOf = new Map(held.map((at) => [pictures[at]!, at]));
  const told = new Set((await trainedAndHeld(dataset)).map(({ trained }) => trained));
  const near = [...split.train].filter((at) => heldOf.has(pictures[at]!) && !told.has(at));
  if (near.length === 0) return;
  const pairs = near
    .slice(0, 3)
    .map((at) => `${samples[at]!.name} ≈ ${samples[heldOf.get(pictures[at]!)!]!.name}`);
  const more = near.length > 3 ? `, and ${near.length - 3} more` : '';
  options.reporter.line(
    `warning    ${near.length} training image${near.length === 1 ? ' is' : 's are'} nearly the same picture as a test or validation image: ${pairs.join(', ')}${more}`,
  );
}
