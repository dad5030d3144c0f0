import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultSettings } from '../../src/training/settings.ts';
import { runFiles } from '../fuzz/bases.ts';
import type { Attack } from './attack.ts';

const runAttack = (
  name: string,
  once: string,
  files: Readonly<Record<string, string>>,
  message: RegExp,
): Attack => ({
  name,
  once,
  reader: 'runFolder',
  make: (folder) => {
    const run = join(folder, 'run');
    mkdirSync(run);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(run, file), text);
    return run;
  },
  message,
  command: ['report'],
});

/** What a run leaves in its folder. */
export const runAttacks: readonly Attack[] = [
  runAttack('a summary that is no JSON', 'a stack trace', { 'summary.json': '{"folder":' }, /summary\.json/),
  runAttack('a summary that is null', 'a stack trace', { 'summary.json': 'null' }, /summary\.json/),
  runAttack(
    'a summary nested 100,000 deep',
    'a stack trace',
    { 'summary.json': `${'['.repeat(100_000)}${']'.repeat(100_000)}` },
    /summary\.json/,
  ),
  runAttack(
    'metrics that are cut',
    'a stack trace',
    {
      'summary.json': JSON.stringify({ settings: defaultSettings(), epochs: 3, test: null }),
      'metrics.jsonl': '{"epoch":1,"lr":0.1,"loss":1}\n{"epoch":2,"lr"',
    },
    /summary\.json|metrics\.jsonl/,
  ),
  {
    ...runAttack(
      'a run of 130,000 predictions',
      'RangeError: Maximum call stack size exceeded, after a minute of fitting a curve',
      {
        'summary.json': JSON.stringify(runFiles().summary),
        'metrics.jsonl': runFiles()
          .records.map((record) => `${JSON.stringify(record)}\n`)
          .join(''),
        'predictions.csv': `name,mos,prediction\n${Array.from({ length: 130_000 }, (_, i) => `p${i}.png,${i % 5},${(i * 7) % 11}\n`).join('')}`,
      },
      /^$/,
    ),
    outcome: 'accepted',
    command: undefined,
  },
  {
    name: 'a run whose summary is a device',
    once: 'read until memory ended',
    reader: 'runFolder',
    make: (folder) => {
      const run = join(folder, 'run');
      mkdirSync(run);
      symlinkSync('/dev/zero', join(run, 'summary.json'));
      return run;
    },
    message: /is not a regular file/,
    command: ['report'],
  },
];
