import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { mutants } from './mutants/list.mjs';

it('every mutant can still be applied, and its tests are there', () => {
  expect(mutants.length).toBeGreaterThan(50);
  const stale = mutants.filter(({ file, text, becomes, tests }) => {
    const found = existsSync(file) ? readFileSync(file, 'utf8').split(text).length - 1 : 0;
    return found !== 1 || text === becomes || !tests.every((test) => existsSync(test));
  });
  expect(stale.map(({ what }) => what)).toEqual([]);
});
