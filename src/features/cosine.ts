import { UserError } from '../common/errors.ts';

/** Length of a vector. */
const norm = (vector: Float32Array): number =>
  Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

/** x / |x|. */
export function unit(vector: Float32Array): Float32Array {
  const length = norm(vector);
  return vector.map((value) => value / length);
}

/** Cosine of an image's feature [E], of any length, and a text's, of unit length. */
export const cosineToUnit = (feature: Float32Array, text: Float32Array): number =>
  dot(feature, text) / norm(feature);

/**
 * Cosine of two features [E] of one CLIP, of images, of texts or of both, from -1 to 1: how alike they are to it.
 *
 * @throws UserError if they are not equally long, as those of two models may be
 */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length)
    throw new UserError(`features of ${a.length} and ${b.length} numbers cannot be compared`);
  return dot(a, b) / (norm(a) * norm(b));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
