#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { invokedAs } from '../common/invocation.ts';
import { packageFile, packageVersion } from '../common/package.ts';

// The program of the installed package: `npx clip-agiqa-webgpu COMMAND …` runs dist/COMMAND.js, as `node dist/COMMAND.js …`
// does in a clone.

const name = 'clip-agiqa-webgpu';

/** The commands, as they are listed. */
const commands: readonly (readonly [string, string])[] = [
  ['setup', 'checks for a WebGPU adapter, and installs a software one on Debian and Ubuntu'],
  ['score', 'scores images'],
  ['train', 'trains CLIP-AGIQA'],
  ['eval', 'measures a model on a dataset'],
  ['evaluate', 'trains and tests on unseen prompts, generators and datasets'],
  ['compare', 'puts training runs side by side'],
  ['report', "writes a run's report.html again"],
  ['step', 'records a training step, and shows it dispatch by dispatch'],
  ['interpret', 'lists the words nearest to learned context vectors'],
  ['encode', 'writes CLIP features of images and texts'],
  ['worker', 'computes shards that a queue hands out'],
  ['status', 'says how far a run of shards has come'],
  ['merge', 'joins the shards of a run into one table'],
  ['export', 'writes a scoring model as ONNX'],
  ['weights', 'inspects, converts or generates weights'],
  ['pretrain', 'pre-trains a small CLIP'],
  ['parity', 'checks numbers against reference figures'],
  ['adapter', 'says what computes, and checks that it does so rightly'],
  ['mat2csv', 'turns scores in MATLAB files into CSV'],
  ['demo', 'trains on generated images and scores some'],
];

const [command, ...rest] = process.argv.slice(2);
if (command === 'setup') {
  const { status } = spawnSync(process.execPath, [packageFile('scripts', 'setup.mjs'), ...rest], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}
if (commands.some(([known]) => known === command)) {
  invokedAs(name);
  process.argv.splice(2, 1);
  await import(new URL(`./${command}.js`, import.meta.url).href);
} else listCommands().parse();

/** What `--help` shows; it also refuses an unknown command with the nearest known one. */
function listCommands(): Command {
  const program = new Command(name)
    .description(
      'CLIP and CLIP-AGIQA on WebGPU: train, score and inspect the quality of AI-generated images.',
    )
    .version(packageVersion())
    .showHelpAfterError('Run with --help for the list of commands.')
    .addHelpText(
      'after',
      `\nEach command has its own help: ${name} score --help\n\nExamples:\n  ${name} score photos/\n  ${name} train --data csv --csv scores.csv --root images`,
    );
  for (const [known, description] of commands) program.command(known).description(description);
  return program;
}
