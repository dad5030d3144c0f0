import { permutation, streams } from '../common/random.ts';

/** What a coalition is worth: for each, whether its members (1) are in it. */
export type Worth = (coalitions: readonly Uint8Array[]) => Promise<ArrayLike<number>>;

export interface ShapleyEstimate {
  /** What each member adds, the mean over the permutations. */
  readonly values: Float64Array;
  /** Of the two halves of the permutations by themselves: how well they agree says how well the estimate is known. */
  readonly halves: readonly [Float64Array, Float64Array];
}

/**
 * Shapley values (1953) by sampled permutations (Castro, Gómez and Tejada, 2009), each followed by its reverse (Mitchell et al., JMLR 2022):
 * members join one after the other, and each is given what the worth grows by. The values add up to the worth of all less
 * that of none, and where only pairs of members interact they are exact.
 *
 * @param permutations an even number; halves are of use from 4
 */
export async function shapleyValues(
  worth: Worth,
  members: number,
  { permutations, seed }: { readonly permutations: number; readonly seed: number },
): Promise<ShapleyEstimate> {
  const pairs = permutations / 2;
  if (!Number.isInteger(pairs) || pairs < 1) throw new Error(`${permutations} permutations are no pairs`);
  const orders = Array.from({ length: pairs }, (_, i) =>
    permutation(members, seed, streams.shapley + i),
  ).flatMap((order) => [order, order.toReversed()]);
  const [none = 0, all = 0] = Array.from(
    await worth([new Uint8Array(members), new Uint8Array(members).fill(1)]),
  );
  const given: Float64Array[] = [];
  for (const order of orders) {
    const joined = new Uint8Array(members);
    const coalitions = Array.from(order.subarray(0, -1), (member) => {
      joined[member] = 1;
      return joined.slice();
    });
    const worths = [none, ...Array.from(await worth(coalitions)), all];
    const values = new Float64Array(members);
    for (const [i, member] of order.entries()) values[member] = worths[i + 1]! - worths[i]!;
    given.push(values);
  }
  const half = (which: number) => given.filter((_, i) => Math.floor(i / 2) % 2 === which);
  return { values: meanOf(given, members), halves: [meanOf(half(0), members), meanOf(half(1), members)] };
}

const meanOf = (lists: readonly Float64Array[], length: number): Float64Array =>
  Float64Array.from({ length }, (_, i) => lists.reduce((sum, list) => sum + list[i]!, 0) / lists.length);
