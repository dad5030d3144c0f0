import { expect, test } from 'vitest';
import { MinHeap } from '../src/common/min-heap.ts';
import { mergePairs } from '../src/data/tokenizer/byte-pairs.ts';
import { randomIntegers } from './reference/values.ts';

/** As the definition says, pass by pass. */
function mergeByDefinition(word: readonly string[], ranks: ReadonlyMap<string, number>): string[] {
  const symbols = [...word];
  for (;;) {
    let best = Infinity;
    let pair = '';
    for (let i = 0; i + 1 < symbols.length; i++) {
      const candidate = `${symbols[i]} ${symbols[i + 1]}`;
      const rank = ranks.get(candidate) ?? Infinity;
      if (rank < best) {
        best = rank;
        pair = candidate;
      }
    }
    if (best === Infinity) return symbols;
    for (let i = 0; i + 1 < symbols.length; i++)
      if (`${symbols[i]} ${symbols[i + 1]}` === pair) symbols.splice(i, 2, symbols[i]! + symbols[i + 1]!);
  }
}

test('merges as the definition does, whatever the ranks', () => {
  const random = randomIntegers(3);
  for (let round = 0; round < 300; round++) {
    // A vocabulary in which what was merged merges again, in any order of ranks.
    const tokens = ['a', 'b', 'c'];
    const merges: string[] = [];
    for (let i = 0; i < 12; i++) {
      const [left, right] = [tokens[random(tokens.length)]!, tokens[random(tokens.length)]!];
      merges.push(`${left} ${right}`);
      tokens.push(left + right);
    }
    const ranks = new Map(merges.sort(() => random(3) - 1).map((pair, rank) => [pair, rank]));
    const word = Array.from({ length: random(40) }, () => tokens[random(3)]!);
    expect(mergePairs(word, (left, right) => ranks.get(`${left} ${right}`))).toEqual(
      mergeByDefinition(word, ranks),
    );
  }
});

test('a heap gives its numbers in order', () => {
  const random = randomIntegers(5);
  const heap = new MinHeap();
  const numbers = Array.from({ length: 500 }, () => random(100));
  for (const number of numbers) heap.push(number);
  expect(heap.size).toBe(500);
  expect(Array.from({ length: 501 }, () => heap.pop())).toEqual([
    ...numbers.sort((a, b) => a - b),
    undefined,
  ]);
});
