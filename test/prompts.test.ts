import { beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import type { Tokenizer } from '../src/data/tokenizer/tokenizer.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import {
  type Position,
  type PrefixTree,
  paddedRows,
  prefixTree,
  promptSlots,
  promptSlotsFromIds,
  type Slot,
} from '../src/model/prefix-tree.ts';

const words = ['terrible', 'bad', 'poor', 'average', 'good', 'perfect'];
const positions: Position[] = ['end', 'middle', 'front'];
const [sot, eot, dot] = [49406, 49407, 269];

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer();
});

const show = (slots: readonly Slot[]) =>
  slots.map((slot) => (slot.kind === 'token' ? slot.id : `c${slot.index}`));

/** The slots from a row's root down to it, each with the prompt whose context it takes. */
function pathTo(tree: PrefixTree, row: number): { slot: Slot; prompt: number }[] {
  const path = [];
  for (let at = row; at >= 0; at = tree.parent[at]!) path.unshift(tree.slots[at]!);
  return path;
}

/** Rows that row i may look at. */
const seen = (tree: PrefixTree, i: number) =>
  [...tree.slots.keys()].filter((j) => j <= i && i < tree.end[j]!);

describe('promptSlots', () => {
  it('places the word as CoOp does', () => {
    const prompt = (position: Position, n: number) => show(promptSlots(tokenizer, 'good', n, position));
    expect(prompt('end', 3)).toEqual([sot, 'c0', 'c1', 'c2', 886, dot, eot]);
    expect(prompt('middle', 3)).toEqual([sot, 'c0', 886, 'c1', 'c2', dot, eot]);
    expect(prompt('middle', 4)).toEqual([sot, 'c0', 'c1', 886, 'c2', 'c3', dot, eot]);
    expect(prompt('front', 3)).toEqual([sot, 886, 'c0', 'c1', 'c2', dot, eot]);
    expect(prompt('end', 0)).toEqual([sot, 886, dot, eot]);
  });

  it('keeps words of several tokens together', () => {
    const name = tokenizer.encode('sports car');
    expect(name.length).toBe(2);
    expect(show(promptSlots(tokenizer, 'sports_car', 2, 'middle'))).toEqual([
      sot,
      'c0',
      ...name,
      'c1',
      dot,
      eot,
    ]);
  });
});

describe('promptSlotsFromIds', () => {
  it('agrees with promptSlots on rows as CoOp tokenizes them', () => {
    for (const position of positions)
      for (const word of [...words, 'sports car']) {
        const row = [...tokenizer.tokenize([`${'X '.repeat(5)}${word}.`])];
        const fromIds = promptSlotsFromIds(row, tokenizer.encode(word).length, 5, position);
        expect(fromIds).toEqual(promptSlots(tokenizer, word, 5, position));
      }
  });

  it('takes the first of the largest ids for [EOT], and any tail before it', () => {
    const row = [7, 1, 1, 4, 5, 6, 9, 9, 0];
    expect(show(promptSlotsFromIds(row, 1, 2, 'front'))).toEqual([7, 4, 'c0', 'c1', 5, 6, 9]);
    expect(() => promptSlotsFromIds(row, 1, 6, 'end')).toThrow(UserError);
  });
});

describe('prefixTree', () => {
  it('shares [SOS] and a shared context: 17 + 6·3 rows instead of 6·20', () => {
    const prompts = words.map((word) => promptSlots(tokenizer, word, 16, 'end'));
    const tree = prefixTree(prompts, { classSpecific: false });
    expect(tree.slots.length).toBe(35);
    expect([...tree.end.slice(0, 17)]).toEqual(new Array(17).fill(35));
    expect([...tree.eot]).toEqual([19, 22, 25, 28, 31, 34]);
    expect([...tree.position.slice(14, 24)]).toEqual([14, 15, 16, 17, 18, 19, 17, 18, 19, 17]);
    expect(tree.parent[20]).toBe(16);
    expect(prefixTree(prompts, { classSpecific: true }).slots.length).toBe(1 + 6 * 19);
    const middle = words.map((word) => promptSlots(tokenizer, word, 16, 'middle'));
    expect(prefixTree(middle, { classSpecific: false }).slots.length).toBe(9 + 6 * 11);
  });

  it('holds every prompt on the way to its [EOT], in depth-first preorder', () => {
    for (const position of positions)
      for (const classSpecific of [false, true]) {
        const prompts = [...words, 'good looking', 'good'].map((word) =>
          promptSlots(tokenizer, word, 4, position),
        );
        const tree = prefixTree(prompts, { classSpecific });
        for (const [number, prompt] of prompts.entries()) {
          const path = pathTo(tree, tree.eot[number]!);
          expect(path.map(({ slot }) => slot)).toEqual(prompt);
          for (const { slot, prompt: owner } of path)
            expect(owner).toBe(classSpecific && slot.kind === 'context' ? number : -1);
        }
        for (let row = 0; row < tree.slots.length; row++) {
          const path: number[] = [];
          for (let at = row; at >= 0; at = tree.parent[at]!) path.unshift(at);
          expect(seen(tree, row)).toEqual(path); // a row looks at itself and its ancestors alone
          expect(tree.position[row]).toBe(path.length - 1);
        }
      }
  });

  it('lets equal prompts share all rows, and a prompt end inside another', () => {
    const a: Slot[] = [1, 2, 3].map((id) => ({ kind: 'token', id }));
    const tree = prefixTree([a, a, a.slice(0, 2)], { classSpecific: false });
    expect(tree.slots.length).toBe(3);
    expect([...tree.eot]).toEqual([2, 2, 1]);
    expect(prefixTree([], { classSpecific: false }).slots).toEqual([]);
  });
});

describe('paddedRows', () => {
  it('is a causal chain of the context length for each prompt', () => {
    const prompts = ['good', 'bad'].map((word) => promptSlots(tokenizer, word, 2, 'end'));
    const rows = paddedRows(prompts, 8, { classSpecific: true });
    expect(show(rows.slots.map(({ slot }) => slot))).toEqual(
      [
        [sot, 'c0', 'c1', 886, dot, eot, 0, 0],
        [sot, 'c0', 'c1', 2103, dot, eot, 0, 0],
      ].flat(),
    );
    expect([...rows.eot]).toEqual([5, 13]);
    expect(rows.slots[9]!.prompt).toBe(1);
    expect(seen(rows, 11)).toEqual([8, 9, 10, 11]);
    expect([...rows.position.slice(8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([rows.parent[7], rows.parent[8], rows.parent[9]]).toEqual([6, -1, 8]);
  });
});
