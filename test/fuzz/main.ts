import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { type Found, fuzzTarget, runPlan, type Tally, tallyTable } from './engine.ts';
import { targets } from './targets.ts';
import { Workplace } from './workplace.ts';

/** `npm run fuzz`: cases of every format this program reads, by a seed; status 1 if any of them breaks a bar. */
const options = new Command('npm run fuzz --')
  .description('Reads files that are nearly right, each in a process under a time and a memory limit.')
  .option('--cases <n>', 'cases over all targets', '10000')
  .option('--seed <n>', 'seed of the cases', '1')
  .option('--target <name...>', 'only those whose name holds one of these words')
  .option('--replay <file>', 'run one case that was found')
  .option('--out <folder>', 'where found cases are kept', 'output/fuzz')
  .allowExcessArguments(false)
  .parse()
  .opts<{ cases: string; seed: string; target?: string[]; replay?: string; out: string }>();

const scratch = mkdtempSync(join(tmpdir(), 'fuzz-'));
const workplace = new Workplace(new URL('./', import.meta.url), scratch);
const chosen = targets.filter(
  ({ name }) => !options.target || options.target.some((word) => name.includes(word)),
);
try {
  process.exitCode = options.replay === undefined ? await fuzz() : await replay(options.replay);
} finally {
  await workplace.close();
  rmSync(scratch, { recursive: true, force: true });
}

async function fuzz(): Promise<number> {
  const cases = Math.ceil(Number(options.cases) / chosen.length);
  const tallies: Tally[] = [];
  for (const target of chosen) {
    const tally = await fuzzTarget(target, { cases, seed: Number(options.seed), workplace, scratch });
    tallies.push(tally);
    process.stderr.write(`${target.name}: ${tally.cases} cases, ${tally.found.length} found\n`);
    for (const found of tally.found) keep(found);
  }
  console.log(`\nseed ${options.seed}\n${tallyTable(tallies)}`);
  return tallies.some(({ found }) => found.length > 0) ? 1 : 0;
}

function keep(found: Found): void {
  mkdirSync(options.out, { recursive: true });
  const digest = createHash('sha256').update(JSON.stringify(found.plan)).digest('hex').slice(0, 8);
  const name = `${found.target.replace(/\W+/g, '-')}-${found.outcome}-${digest}.json`;
  const path = join(options.out, name);
  writeFileSync(path, `${JSON.stringify(found, null, 2)}\n`);
  process.stderr.write(
    `  ${found.outcome}: ${found.message.split('\n').slice(0, 4).join('\n    ')}\n  kept as ${path}\n`,
  );
}

async function replay(path: string): Promise<number> {
  const { target, plan } = JSON.parse(readFileSync(path, 'utf8')) as Found;
  const found = targets.find(({ name }) => name === target);
  if (!found) throw new Error(`there is no target ${target}`);
  const outcome = await runPlan(found, plan, workplace, scratch);
  console.log(outcome);
  return outcome.outcome === 'accepted' || outcome.outcome === 'refused' ? 0 : 1;
}
