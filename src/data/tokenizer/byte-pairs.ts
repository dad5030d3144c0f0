import { getOrThrow } from '../../common/get-or-throw.ts';
import { MinHeap } from '../../common/min-heap.ts';

/**
 * Merges neighbors of a word as byte-pair encoding does: again and again the pair of lowest rank, everywhere it occurs
 * from left to right, until no neighbors have a rank. Takes n log n steps for n symbols; a word may be as long as a text.
 *
 * @param rankOf the rank of two neighbors; undefined where they are no merge
 */
export function mergePairs(
  word: readonly string[],
  rankOf: (left: string, right: string) => number | undefined,
): string[] {
  // A chain of symbols: a merge takes its right one out. Position 0 never goes.
  const symbols: (string | null)[] = [...word];
  const before = Int32Array.from(word, (_, i) => i - 1);
  const after = Int32Array.from(word, (_, i) => (i + 1 < word.length ? i + 1 : -1));
  const ranks = new MinHeap();
  const waiting = new Map<number, number[]>();

  const rankAt = (at: number): number | undefined => {
    const left = symbols[at];
    const right = after[at]! < 0 ? null : symbols[after[at]!];
    return left == null || right == null ? undefined : rankOf(left, right);
  };
  const note = (at: number): void => {
    const rank = at < 0 ? undefined : rankAt(at);
    if (rank === undefined) return;
    const places = waiting.get(rank);
    if (places) places.push(at);
    else {
      waiting.set(rank, [at]);
      ranks.push(rank);
    }
  };

  for (let at = 0; at < word.length; at++) note(at);
  for (let rank = ranks.pop(); rank !== undefined; rank = ranks.pop()) {
    const places = getOrThrow(waiting, rank).sort((a, b) => a - b);
    waiting.delete(rank);
    for (const at of places) {
      // A merge to the left may have taken one of the two.
      if (rankAt(at) !== rank) continue;
      const right = after[at]!;
      symbols[at] = symbols[at]! + symbols[right]!;
      symbols[right] = null;
      after[at] = after[right]!;
      if (after[at]! >= 0) before[after[at]] = at;
      note(before[at]!);
      note(at);
    }
  }
  return symbols.filter((symbol) => symbol !== null);
}
