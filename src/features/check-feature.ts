import { UserError } from '../common/errors.ts';
import { findNonFinite } from '../data/formats/finite.ts';

/** Refuses a feature with non-finite numbers, which would spoil whatever is computed of it. */
export function checkFeature(
  feature: Float32Array,
  path: string,
  { describe, width }: { readonly width: number; describe?(at: number): string },
): void {
  const at = findNonFinite(feature)?.first;
  if (at === undefined) return;
  throw new UserError(
    `${path}: ${describe?.(at) ?? `number ${at + 1} of the ${width} of its feature`} is ${feature[at]}`,
    'The weights hold non-finite values (weights --info counts them) or values that are too large: try --weight-type float32.',
  );
}
