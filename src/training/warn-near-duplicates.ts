import type { Reporter } from '../common/reporter.ts';
import { trainedAndHeld } from '../data/datasets/duplicates.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { nearDuplicates } from '../features/near-duplicates.ts';

/**
 * Warns, in one line, where a training image is nearly a test or validation image, such as the same one in another compression.
 * Images that are the same byte for byte are named without a look at their pixels; see `describeData`.
 *
 * @param options.cache a `--cache` setting
 */
export async function warnNearDuplicates(
  dataset: Dataset,
  options: { readonly cache: string; readonly reporter: Reporter; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { samples, split, versions } = dataset;
  const held = [...split.test, ...split.val];
  if (versions || held.length === 0 || split.train.length === 0) return;
  const groups = await nearDuplicates(samples, [...split.train, ...held], options);
  const heldOf = new Map(held.map((at) => [groups[at]!, at]));
  const named = new Set((await trainedAndHeld(dataset)).map(({ trained }) => trained));
  const near = [...split.train].filter((at) => heldOf.has(groups[at]!) && !named.has(at));
  if (near.length === 0) return;
  const pairs = near
    .slice(0, 3)
    .map((at) => `${samples[at]!.name} ≈ ${samples[heldOf.get(groups[at]!)!]!.name}`);
  const more = near.length > 3 ? `, and ${near.length - 3} more` : '';
  options.reporter.line(
    `warning    ${near.length} training image${near.length === 1 ? ' is' : 's are'} nearly the same as a test or validation image: ${pairs.join(', ')}${more}`,
  );
}
