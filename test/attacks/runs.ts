import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultSettings } from '../../src/training/settings.ts';
import { tinyFeature } from '../fuzz/known.ts';
import { targets } from '../fuzz/targets.ts';
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
    name: 'a model whose head takes wider features',
    once: '"linear: x [1, 32] does not fit", with its stack',
    reader: 'scoringModel',
    make: (folder) =>
      targets
        .find(({ name }) => name === 'scoring model')!
        .write(
          {
            kind: 'head',
            tensors: [{ tensor: 0, op: 'shape', shape: [3, tinyFeature + 1], value: 0 }],
            settings: [],
          },
          folder,
        ),
    message: /takes features of width 33, but its settings give width 32/,
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
