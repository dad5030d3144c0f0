import { findNonFinite } from '../data/formats/finite.ts';

/** A number that is not finite where a result would be made of it: training has diverged, or what it read was damaged. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/**
 * Refuses results that are not all finite.
 *
 * @param what what they are, for the message: `ctx`, `the training loss`
 * @param when at which point: `in epoch 3`
 * @throws NonFiniteError that names the first place
 */
export function checkFinite(values: Float32Array | number, what: string, when: string): void {
  if (typeof values === 'number') {
    if (!Number.isFinite(values)) throw new NonFiniteError(`${what} became ${values} ${when}`);
    return;
  }
  const found = findNonFinite(values);
  if (!found) return;
  const which = values.length > 1 ? ` (element ${found.first + 1} of ${values.length})` : '';
  throw new NonFiniteError(`${what} became ${values[found.first]} ${when}${which}`);
}
