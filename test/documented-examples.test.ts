import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { asRun, isExcluded } from './documented-rules.ts';
import { Runner } from './documented-runner.ts';
import { fillSandbox } from './documented-sandbox.ts';
import { temporaryFolder } from './temporary-folder.ts';

// Every command line of the documents and help pages runs, as it is written, in a folder that has everything they name, tiny.

const home = temporaryFolder('documented');

it('every command line of the documents and help pages runs', async ({ signal }) => {
  await fillSandbox(home);
  const runner = new Runner(home, signal);
  const documented = await runner.documented();

  const settings =
    '--data csv --csv scores.csv --root images --epochs 1 --batch-size 4 --views 1 --cache none';
  for (const line of [
    'node dist/weights.js --spec weights.json --out ViT-B-16.pt',
    `node dist/train.js ${settings} --weights ViT-B-16.pt --out output/my-run`,
  ])
    expect(await runner.run(line), line).toMatchObject({ status: 0 });
  for (const copy of ['agiqa-3k/linear', 'agiqa-3k/other', 'runs/seed1', 'runs/seed2'])
    cpSync(join(home, 'output/my-run'), join(home, 'output', copy), { recursive: true });

  // Scoring comes late: `--csv scores.csv` replaces the table that others train on; then what reads the shards that it leaves.
  const place = (line: string) =>
    Number(/\bscore\b/.test(line)) + 2 * Number(/\/(merge|status)\.js/.test(line));
  const lines = documented.map(({ line }) => line).filter((line) => !isExcluded(line));
  const failures: string[] = [];
  for (const line of [...new Set(lines.map(asRun))].sort((a, b) => place(a) - place(b))) {
    const { status, output } = await runner.run(line);
    if (status !== 0) failures.push(`${line}\n${output.slice(-600)}`);
  }
  runner.end();
  expect(failures).toEqual([]);
}, 1_800_000);
