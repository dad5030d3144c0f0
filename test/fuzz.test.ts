import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { type Found, fuzzTarget, runPlan } from './fuzz/engine.ts';
import { targets } from './fuzz/targets.ts';
import { bars, Workplace } from './fuzz/workplace.ts';
import { temporaryFolder } from './temporary-folder.ts';

// `npm test` builds dist/ first.
const scratch = temporaryFolder('fuzz');
const workplace = new Workplace(new URL('../dist/', import.meta.url), scratch);
afterAll(async () => {
  await workplace.close();
});

describe.each(targets)('$name', (target) => {
  test('accepts the whole file that its cases are made from', async () => {
    expect(await runPlan(target, target.whole, workplace, scratch)).toMatchObject({
      outcome: 'accepted',
      message: '',
    });
  });

  test('no case breaks a bar', async () => {
    const tally = await fuzzTarget(target, { cases: 25, seed: 1, workplace, scratch });
    expect(tally.found).toEqual([]);
    expect(tally.cases).toBe(25);
    expect(tally.slowestMs).toBeLessThan(bars.seconds * 1000);
    expect(tally.peak).toBeLessThan(bars.mebibytes);
  });
});

describe('cases that were found once', () => {
  const corpus = new URL('./fuzz/corpus/', import.meta.url);
  test.each(readdirSync(corpus))('%s', async (name) => {
    const found: Found = JSON.parse(readFileSync(new URL(name, corpus), 'utf8'));
    const target = targets.find(({ name: known }) => known === found.target)!;
    const { outcome, message } = await runPlan(target, found.plan, workplace, scratch);
    expect(['accepted', 'refused'], message).toContain(outcome);
  });
});
