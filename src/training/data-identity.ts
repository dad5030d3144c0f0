import { createHash } from 'node:crypto';
import { UserError } from '../common/errors.ts';
import type { DataIdentity } from './run-schemas.ts';

/** The identity of entries by part; an entry is a list of texts and numbers. */
export function dataIdentity(
  parts: Readonly<Record<string, Iterable<readonly (string | number | null)[]>>>,
): DataIdentity {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  for (const [part, entries] of Object.entries(parts)) {
    counts[part] = 0;
    for (const entry of entries) {
      hash.update(`${JSON.stringify([part, ...entry])}\n`);
      counts[part]++;
    }
  }
  return { digest: hash.digest('hex'), counts };
}

/**
 * Refuses data other than a run was trained on.
 *
 * @param folder the run's, for the message
 */
export function requireSameData(before: DataIdentity, now: DataIdentity, folder: string): void {
  if (before.digest !== now.digest)
    throw new UserError(
      `${folder} was trained on other data: ${countsText(before)} then, ${countsText(now)} now, and names, scores or splits differ`,
      'Pass the original data (--root, --csv), or start another run with --out.',
    );
  const [then, found] = [before.unreadable, now.unreadable];
  if (!then || !found || then.join('\n') === found.join('\n')) return;
  const changed = [
    ...found.filter((name) => !then.includes(name)),
    ...then.filter((name) => !found.includes(name)),
  ];
  throw new UserError(
    `${folder}: ${changed[0]} ${found.includes(changed[0]!) ? 'can no longer be decoded' : 'could not be decoded when the run started, but now can'}${changed.length > 1 ? ` (and ${changed.length - 1} more)` : ''}`,
    'Restore the images, or start another run with --out.',
  );
}

const countsText = ({ counts }: DataIdentity): string =>
  Object.entries(counts)
    .map(([part, count]) => `${count} ${part}`)
    .join(', ');
