import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import {
  commandsOfDocument,
  commandsOfHelp,
  type Documented,
  documentedCommands,
  documents,
} from './documented-commands.ts';
import { asReplaced, asRun, isExcluded, outdated } from './documented-rules.ts';
import { fillSandbox } from './documented-sandbox.ts';
import { temporaryFolder } from './temporary-folder.ts';

// Every command line of the documents and help pages runs, as it is written, in a folder that has everything they name, tiny. With
// DOCUMENTED_TIMES=1 each line is printed with its seconds.

interface Ran {
  readonly status: number;
  readonly output: string;
}

const home = temporaryFolder('documented');

/** A process in the sandbox that runs command lines, with a cache of its own but the driver's compiled kernels. */
function runner(signal: AbortSignal) {
  const { HOME = homedir(), XDG_CACHE_HOME = join(HOME, '.cache') } = process.env;
  const env = { ...process.env, XDG_CACHE_HOME: join(home, 'cache'), MESA_SHADER_CACHE_DIR: XDG_CACHE_HOME };
  const child = spawn(process.execPath, ['test/run-in-process.mjs', home], { env, signal });
  let errors = '';
  child.stderr.on('data', (chunk) => (errors += chunk));
  child.on('error', (error) => (errors += error.message));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(line: string): Promise<Ran> {
      const began = performance.now();
      child.stdin.write(`${line}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error(`the process ended at: ${line}\n${errors}`);
      if (process.env.DOCUMENTED_TIMES)
        process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} ${line}\n`);
      return JSON.parse(value) as Ran;
    },
    end: () => child.stdin.end(),
  };
}

it('every command line of the documents and help pages runs', async ({ signal }) => {
  await fillSandbox(home);
  const { run, end } = runner(signal);
  const help = async (name: string) => (await run(`node dist/${name}.js --help`)).output;
  const documented: Documented[] = documents().flatMap(commandsOfDocument);
  for (const name of documentedCommands) {
    const examples = commandsOfHelp(name, await help(name));
    expect(examples.length, `examples of ${name} --help`).toBeGreaterThan(0);
    documented.push(...examples);
  }
  expect(outdated(documented)).toEqual([]);

  for (const { line, where } of documented.filter(({ line }) => isExcluded(line))) {
    const name = /\bnode dist\/([\w/-]+)\.js/.exec(asReplaced(line))?.[1];
    const options = name === undefined ? [] : [...line.matchAll(/ (--[a-z-]+)/g)];
    for (const [, option] of options)
      expect(await help(name!), `${where}: ${line}`).toMatch(new RegExp(`^ .*${option}\\b`, 'm'));
  }

  const settings =
    '--data csv --csv scores.csv --root images --epochs 1 --batch-size 4 --views 1 --cache none';
  for (const line of [
    'node dist/weights.js --spec weights.json --out ViT-B-16.pt',
    `node dist/train.js ${settings} --weights ViT-B-16.pt --out output/my-run`,
  ])
    expect(await run(line), line).toMatchObject({ status: 0 });
  for (const copy of ['agiqa-3k/linear', 'agiqa-3k/other', 'runs/seed1', 'runs/seed2'])
    cpSync(join(home, 'output/my-run'), join(home, 'output', copy), { recursive: true });

  // Scoring comes late: `--csv scores.csv` replaces the table that others train on; then what reads the shards that it leaves.
  const place = (line: string) =>
    Number(/\bscore\b/.test(line)) + 2 * Number(/\/(merge|status)\.js/.test(line));
  const lines = documented.map(({ line }) => line).filter((line) => !isExcluded(line));
  const failures: string[] = [];
  for (const line of [...new Set(lines.map(asRun))].sort((a, b) => place(a) - place(b))) {
    const { status, output } = await run(line);
    if (status !== 0) failures.push(`${line}\n${output.slice(-600)}`);
  }
  end();
  expect(failures).toEqual([]);
}, 900_000);
