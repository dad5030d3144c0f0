import { afterAll, expect, test } from 'vitest';
import { attacks } from './attacks/index.ts';
import { runAttack } from './attacks/run-attack.ts';
import { bars, Workplace } from './fuzz/workplace.ts';
import { temporaryFolder } from './temporary-folder.ts';

// `npm test` builds dist/ first.
const dist = new URL('../dist/', import.meta.url);
const scratch = temporaryFolder('attacks');
const workplace = new Workplace(dist, scratch);
afterAll(async () => {
  await workplace.close();
});

test('each attack has a name of its own', () => {
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
});

test.each(attacks)('$name', async (attack) => {
  const { outcome, problems } = await runAttack(attack, { workplace, dist, scratch });
  expect(problems).toEqual([]);
  expect(outcome.ms).toBeLessThan(bars.seconds * 1000);
  expect(outcome.peak).toBeLessThan(bars.mebibytes);
});
