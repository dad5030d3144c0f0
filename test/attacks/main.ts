import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Workplace } from '../fuzz/workplace.ts';
import { attacks } from './index.ts';
import { runAttack } from './run-attack.ts';

/** `npm run attacks [-- WORD…]`: runs those whose name holds one of the words, prints what each came to, exits with 1 if any got through. */
const words = process.argv.slice(2);
const chosen = attacks.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const dist = new URL('./', import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), 'attacks-'));
const workplace = new Workplace(dist, scratch);
let got = 0;
console.log(`${'attack'.padEnd(60)} ${'outcome'.padEnd(9)} ${'s'.padStart(5)} ${'MiB'.padStart(6)}  once`);
for (const attack of chosen) {
  const { outcome, problems } = await runAttack(attack, { workplace, dist, scratch });
  const seconds = (outcome.ms / 1000).toFixed(1).padStart(5);
  const peak = outcome.peak.toFixed(0).padStart(6);
  console.log(`${attack.name.padEnd(60)} ${outcome.outcome.padEnd(9)} ${seconds} ${peak}  ${attack.once}`);
  for (const problem of problems) console.log(`  ! ${problem}`);
  if (problems.length > 0) got++;
}
await workplace.close();
rmSync(scratch, { recursive: true });
console.log(`${chosen.length} attacks, ${got} got through`);
process.exitCode = got > 0 ? 1 : 0;
