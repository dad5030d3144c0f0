/**
 * The GPU kit: everything worth knowing of a machine's GPU in one run of some minutes, without network, left as one folder.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { dawnRemarks } from '../../src/cli/dawn-remarks.ts';
import { addTryOutOptions } from '../../src/cli/gpu-options.ts';
import { watchInterrupts } from '../../src/cli/interrupt.ts';
import { countOption } from '../../src/cli/numbers.ts';
import { Progress, timeText } from '../../src/cli/progress.ts';
import { Stopped, UserError } from '../../src/common/errors.ts';
import { prepareFolder, writeOutput } from '../../src/common/files.ts';
import { packageVersion } from '../../src/common/package.ts';
import type { AdapterDescription } from '../../src/kernels/device/adapter-description.ts';
import { environment, readResults } from '../results.ts';
import { figuresOf } from './figures.ts';
import { type Outcome, runStage } from './run-stage.ts';
import { kitStages, type Stage } from './stages.ts';

interface Options {
  out: string;
  minutes: number;
  only?: string[];
  quick?: boolean;
}

/** From dist/kit.js. */
const root = fileURLToPath(new URL('..', import.meta.url));
const names = kitStages({ root, quick: false }).map(({ name }) => name);

const command = createCommand(
  'kit',
  'Tries and measures a GPU in some minutes, without network: self-check, reference values, tuner, kernels, training, encoding, a step. What it finds is left in one folder.',
  [
    'node dist/kit.js                                 # eight minutes; then send the folder gpu-kit',
    'node dist/kit.js --adapter 1 --out gpu-1         # another GPU of the machine',
    'node dist/kit.js --quick --minutes 4             # only to see that it runs',
    'node dist/kit.js --only self-check parity',
  ],
)
  .option('--out <folder>', 'a folder that is not there yet, or empty', 'gpu-kit')
  .option('--minutes <n>', 'for all stages together, each its share', countOption('--minutes'), 8)
  .option('--only <stages...>', `of ${names.join(', ')}`)
  .option('--quick', 'fewer repetitions and sizes: no figure to quote');

addTryOutOptions(command);

/** What kit.json says of a stage. */
interface Entry {
  readonly stage: string;
  readonly command: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly allowed: number;
  readonly figures?: string;
  /** Of one that did not come to its end. */
  readonly lastLines?: readonly string[];
}

const outcomes: Readonly<Record<Outcome, string>> = {
  done: 'done',
  failed: 'FAILED',
  cut: 'CUT: over its time',
  stopped: 'stopped',
};

await runCommand<Options>(command, async ({ out, minutes, only, quick = false }) => {
  const signal = watchInterrupts();
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown) throw new UserError(`no stage named ${unknown}`, `Stages: ${names.join(', ')}.`);
  const folder = resolve(out);
  prepareFolder(folder);
  if (readdirSync(folder).length > 0)
    throw new UserError(`${out} is not empty`, 'Nothing is replaced: choose another folder by --out.');
  const all = kitStages({ root, quick });
  const stages = all.filter(({ name }) => !only || only.includes(name));
  const whole = all.reduce((sum, { seconds }) => sum + seconds, 0);
  const began = performance.now();
  const startedAt = new Date().toISOString();
  const entries: Entry[] = [];
  let adapter: AdapterDescription | undefined;
  for (const [i, stage] of stages.entries()) {
    if (signal.aborted) break;
    // What an earlier stage left of its time goes to those after it, in proportion.
    const left = 60 * minutes - (performance.now() - began) / 1000;
    const ahead = stages.slice(i).reduce((sum, { seconds }) => sum + seconds, 0);
    const share = only ? (60 * minutes * stage.seconds) / whole : (left * stage.seconds) / ahead;
    const entry = await run(stage, folder, Math.max(1, share), signal, `[${i + 1}/${stages.length}]`);
    entries.push(entry);
    adapter ??= await adapterOf(folder);
    const kit = {
      startedAt,
      seconds: (performance.now() - began) / 1000,
      version: packageVersion(),
      ...environment(),
      platform: `${process.platform} ${process.arch}`,
      minutes,
      quick,
      adapter: adapter ?? null,
      stages: entries,
    };
    // After each, so that an interrupted run leaves what it has.
    await writeOutput(join(folder, 'kit.json'), `${JSON.stringify(kit, null, 2)}\n`);
  }
  process.stdout.write(
    `\n${summary(entries, adapter)}\n${out}  ${timeText((performance.now() - began) / 1000)}\n`,
  );
  if (signal.aborted)
    throw new Stopped(`after ${entries.length} of ${stages.length} stages; ${out} has what they found`);
  if (entries.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
});

async function run(
  stage: Stage,
  folder: string,
  seconds: number,
  signal: AbortSignal,
  at: string,
): Promise<Entry> {
  const { name, about, output } = stage;
  const [script, ...args] = stage.command(seconds);
  Progress.line(`${at} ${name.padEnd(10)} ${about}; at most ${timeText(seconds)}`);
  await stage.prepare?.(folder);
  const { outcome, stdout, log, ...took } = await runStage([join(root, 'dist', script!), ...args], {
    cwd: folder,
    env: {
      ...process.env,
      // Nothing that was found out before decides anything here, and what is found out stays with the results.
      XDG_CACHE_HOME: join(folder, 'cache'),
      CLIP_AGIQA_TUNING: join(folder, 'tuning.json'),
      NO_COLOR: '1',
    },
    seconds,
    signal,
    unwanted: dawnRemarks,
    onLine: (line) => {
      if (!output || !/^[\s{}[\]"]/.test(line)) Progress.line(`      ${line.slice(0, 160)}`);
    },
  });
  await writeOutput(join(folder, 'logs', `${name}.txt`), log);
  if (output && stdout.trim() !== '') await writeOutput(join(folder, output), stdout);
  const figures = await figuresOf(name, folder);
  const entry: Entry = {
    stage: name,
    command: [`node dist/${script}`, ...args].join(' '),
    outcome,
    seconds: took.seconds,
    allowed: seconds,
    ...(figures !== undefined && { figures }),
    ...(outcome !== 'done' && { lastLines: log.trimEnd().split('\n').slice(-5) }),
  };
  Progress.line(`${at} ${lineOf(entry)}`);
  return entry;
}

function lineOf({ stage, outcome, seconds, figures, lastLines }: Entry): string {
  const what = figures ?? lastLines?.at(-1) ?? '';
  return `${stage.padEnd(10)} ${outcomes[outcome]}, ${timeText(seconds)}${what ? `: ${what}` : ''}`;
}

function summary(entries: readonly Entry[], adapter: AdapterDescription | undefined): string {
  const title = adapter
    ? `${adapter.name}${adapter.software ? ' (a software adapter: no figure says anything of a GPU)' : ''}`
    : 'no adapter was opened';
  return [title, ...entries.map(lineOf)].join('\n');
}

/** What computed, by the self-check, or by the bench where that was cut short. */
async function adapterOf(folder: string): Promise<AdapterDescription | undefined> {
  const text = await readFile(join(folder, 'adapter.json'), 'utf8').catch(() => '');
  const checked = text.trimEnd().endsWith('}')
    ? (JSON.parse(text) as { adapter: AdapterDescription })
    : undefined;
  const [measured] = await readResults(join(folder, 'results')).catch(() => []);
  return (checked ?? measured)?.adapter;
}
