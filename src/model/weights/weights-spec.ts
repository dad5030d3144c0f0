import * as v from 'valibot';
import { fnv1a32 } from '../../common/fnv1a.ts';
import { count, finite } from '../../common/json.ts';
import { readJson } from '../../common/json-file.ts';
import { checkLimit } from '../../common/limits.ts';
import { elementCount } from '../../common/shape.ts';

/** A tensor whose every value is `offset + scale * u(name, i)`, in float32. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly scale: number;
  readonly offset: number;
}

/** A model as a function of names: as large as a real one, described in a few kilobytes. */
export interface WeightsSpec {
  readonly seed: number;
  readonly tensors: ReadonlyMap<string, TensorSpec>;
}

/**
 * The i-th number of a name's sequence, evenly distributed in [-1, 1): a 32-bit counter through MurmurHash3's
 * finalizer, of whose result the upper 24 bits count, so that float32 holds it exactly.
 */
export function u(name: string, i: number, seed = 0): number {
  return uniform((fnv1a32(name) ^ seed) >>> 0, i);
}

function uniform(key: number, i: number): number {
  let hash = (key + Math.imul(i, 0x9e3779b9)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 8) * 2 ** -23 - 1;
}

/** `count` values `offset + scale * u(name, i)`; product and sum are rounded to float32 each. */
export function generateValues(
  name: string,
  count: number,
  { seed, scale, offset = 0 }: { readonly seed: number; readonly scale: number; readonly offset?: number },
): Float32Array {
  const key = (fnv1a32(name) ^ seed) >>> 0;
  const factor = Math.fround(scale);
  const shift = Math.fround(offset);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = Math.fround(factor * uniform(key, i)) + shift;
  return values;
}

/** The values of one of a specification's tensors, row-major. */
export function generateTensor(spec: WeightsSpec, name: string): Float32Array {
  const tensor = spec.tensors.get(name);
  if (!tensor) throw new Error(`the specification has no tensor ${name}`);
  return generateValues(name, elementCount(tensor.shape), { seed: spec.seed, ...tensor });
}

const advice = 'A specification is JSON: { "seed": 1, "tensors": { NAME: { "shape", "scale", "offset" } } }.';

/** Finite in float32, with room for the sum of two. */
const number = v.pipe(finite, v.minValue(-1e38), v.maxValue(1e38));
const specSchema = v.object({
  seed: v.pipe(v.number(), v.safeInteger()),
  tensors: v.record(v.string(), v.object({ shape: v.array(count), scale: number, offset: number })),
});

/**
 * Reads `{ seed, tensors: { NAME: { shape, scale, offset } } }`. Throws `UserError` for anything else, and for tensors
 * larger than the limit: a few characters describe any size.
 */
export async function readWeightsSpec(path: string): Promise<WeightsSpec> {
  const { seed, tensors } = await readJson(path, specSchema, advice);
  const entries = Object.entries(tensors);
  checkLimit('tensors', entries.length, (amount) => `${path}: describes ${amount} tensors`);
  for (const [name, { shape }] of entries) {
    checkLimit('nameLength', name.length, (length) => `${path}: a tensor's name has ${length} characters`);
    checkLimit('shapeRank', shape.length, (rank) => `${path}: tensor ${name} has ${rank} dimensions`);
    checkLimit(
      'generatedElements',
      elementCount(shape),
      (elements) => `${path}: tensor ${name} has ${elements} elements`,
    );
  }
  return { seed, tensors: new Map(entries) };
}
