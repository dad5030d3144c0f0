import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createCommand, runCommand } from '../cli/command.ts';
import { addTryOutOptions } from '../cli/gpu-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { UserError } from '../common/errors.ts';
import type { Figure, Result, Results } from '../parity/figure.ts';
import { checkForward } from '../parity/forward.ts';
import { checkPreprocess } from '../parity/preprocess.ts';
import { checkMetrics, checkSchedule, checkSplits, checkTokenizer } from '../parity/tables.ts';
import { checkTraining } from '../parity/training.ts';
import { checkFullSize } from '../parity/vitb16.ts';

const command = createCommand('parity', 'Compares the engine with reference values, one line per value.', [
  'node dist/parity.js --reference reference/',
  'node dist/parity.js --reference reference/ --only forward training',
  'node dist/parity.js --reference reference/ --json > parity.json',
])
  .requiredOption(
    '--reference <dir>',
    'folder of reference values: tiny/, vitb16/, preprocess/, tokenizer.json, …',
  )
  .option(
    '--only <parts...>',
    'run only these parts: tokenizer, splits, schedule, metrics, preprocess, forward, training, full-size',
  )
  .option('--json', 'print the results as JSON');

addTryOutOptions(command);

await runCommand<{ reference: string; only?: string[]; json?: boolean }>(
  command,
  async ({ reference, only, json }) => {
    if (!existsSync(reference)) throw new UserError(`${reference}: no such folder`);
    const gpu = await startGpu(terminal);
    const parts: Record<string, () => Results> = {
      tokenizer: () => checkTokenizer(reference),
      splits: () => checkSplits(reference),
      schedule: () => checkSchedule(reference),
      metrics: () => checkMetrics(reference),
      preprocess: () => checkPreprocess(join(reference, 'preprocess')),
      forward: () => checkForward(gpu, join(reference, 'tiny')),
      training: () => checkTraining(gpu, join(reference, 'tiny')),
      'full-size': () => checkFullSize(gpu, join(reference, 'vitb16')),
    };
    const unknown = only?.find((name) => !(name in parts));
    if (unknown) throw new UserError(`no part named ${unknown}`, `Parts: ${Object.keys(parts).join(', ')}.`);
    const results: Result[] = [];
    for (const [name, check] of Object.entries(parts)) {
      if (only && !only.includes(name)) continue;
      for await (const result of check()) {
        results.push(result);
        if (!json) process.stdout.write(`${lineOf(result)}\n`);
      }
    }
    gpu.close();
    const figures = results.filter((result): result is Figure => 'ok' in result);
    const failed = figures.filter(({ ok }) => !ok);
    if (json)
      process.stdout.write(
        `${JSON.stringify({ adapter: gpu.adapter, results, failed: failed.length }, null, 2)}\n`,
      );
    else {
      const first = failed[0] ? `; first failure: ${failed[0].what}` : '';
      process.stdout.write(`${figures.length} values, ${failed.length} failed${first}\n`);
    }
    if (failed.length > 0 || figures.length === 0) process.exitCode = 1;
  },
);

function lineOf(result: Result): string {
  const what = result.what.padEnd(64);
  if (!('ok' in result)) return `${what} not present`;
  const { error, tolerance, measure, ok } = result;
  const number = (x: number) => (measure === 'differences' ? String(x) : x.toExponential(2)).padStart(9);
  return `${what} ${number(error)}  tolerance ${number(tolerance)}  ${measure.padEnd(11)}  ${ok ? 'ok' : 'FAIL'}`;
}
