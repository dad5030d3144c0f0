import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeScenes } from '../../src/data/datasets/scenes/make.ts';
import { hasBegun } from './kinds.ts';
import { inProject } from './project.ts';

/** Draws whole numbers below `below`; the same ones with the same seed. */
export type Draw = (below: number) => number;

/** A command that is killed and started again. Paths are relative to the folder it runs in; results go to `run/`. */
export interface TorturedCommand {
  readonly name: string;
  readonly summary: string;
  /** Its part of the kills, beside others': less for what takes long. 1 by default. */
  readonly share?: number;
  /** Arguments of node: the command's file in dist/, then its own. */
  start(): string[];
  /** How to go on with what is in `folder`; starts over where there is nothing yet. */
  goOn(folder: string, draw: Draw): string[];
  /** Makes what the command needs before its first start. */
  prepare?(folder: string, shared: string): Promise<void> | void;
  /** Done to the folder between a kill and the next start. */
  between?(folder: string, draw: Draw): void;
}

/** Makes what all commands read, in the folder that lies beside theirs. */
export async function prepareShared(shared: string): Promise<void> {
  mkdirSync(shared, { recursive: true });
  await makeScenes(join(shared, 'images'), { scenes: 10, versions: 2, size: 32, seed: 3 });
}

const inDist = (name: string): string => inProject(`dist/${name}.js`);

const training = [
  ...[
    '--data',
    'scenes',
    '--root',
    '../shared/images',
    '--weights',
    inProject('test/fixtures/tiny-clip.json'),
  ],
  ...['--trainer', 'image-only', '--epochs', '6', '--batch-size', '4', '--views', '2', '--hidden', '16'],
  ...['--tune', 'never', '--out', 'run'],
];
const shared = ['--cache', '../shared/cache'];

/** Goes on with a run that has left something to go on from, by its folder alone or with all that it was begun with. */
function resuming(name: string, args: readonly string[]) {
  return (folder: string, draw: Draw): string[] => {
    if (!hasBegun(join(folder, 'run'))) return [inDist(name), ...args];
    return draw(2) === 0 ? [inDist(name), '--resume', 'run'] : [inDist(name), ...args, '--resume'];
  };
}

function train(name: string, summary: string, extra: readonly string[]): TorturedCommand {
  const args = [...training, ...extra];
  return { name, summary, start: () => [inDist('train'), ...args], goOn: resuming('train', args) };
}

const pretraining = [
  ...['--data', 'scenes', '--root', '../shared/images', '--image-size', '32', '--patch-size', '16'],
  ...['--vision-width', '64', '--vision-layers', '1', '--text-width', '64', '--text-layers', '1'],
  ...['--start', 'random', '--embedding', '16', '--views', '1', '--batch-size', '8', '--chunk-size', '8'],
  ...['--epochs', '3', '--checkpoint-every', '1', '--tune', 'never', '--out', 'run'],
];

const seeds = [...training, ...shared, '--seeds', '1,2', '--epochs', '3'];

export const commands: readonly TorturedCommand[] = [
  train('last', 'train, the last epoch kept', shared),
  train('best_val', 'train, the best epoch kept', [
    ...shared,
    '--final-model',
    'best_val',
    '--val-size',
    '0.4',
  ]),
  train('tensorboard', "train with AdamW and TensorBoard's curves", [
    ...shared,
    ...['--optimizer', 'adamw', '--tensorboard'],
  ]),
  {
    ...train('cache', 'train with a cache of its own, cut and overwritten between the kills', [
      '--cache',
      'cache',
    ]),
    between: damageCache,
  },
  {
    name: 'pretrain',
    summary: 'pretrain, a checkpoint each step',
    share: 0.3,
    start: () => [inDist('pretrain'), ...pretraining],
    goOn: resuming('pretrain', pretraining),
  },
  {
    name: 'seeds',
    summary: 'train with --seeds, two runs one after the other',
    start: () => [inDist('train'), ...seeds],
    goOn: (folder) => [
      inDist('train'),
      ...seeds,
      ...(hasBegun(join(folder, 'run', 'seed1')) ? ['--resume'] : []),
    ],
  },
  scoring('score', 'score --csv', (model) => [
    ...['../shared/images', '--model', model, '--csv', 'run/scores.csv'],
  ]),
  scoring('encode', 'encode of a folder', () => [
    ...['--weights', inProject('test/fixtures/tiny-clip.json'), '--image', '../shared/images'],
    ...['--out', 'run/features.safetensors'],
  ]),
];

/** A command that starts over each time, and whose result is whole or not there. */
function scoring(name: string, summary: string, args: (model: string) => string[]): TorturedCommand {
  const start = () => [inDist(name), ...args('../shared/model')];
  return { name, summary, start, goOn: start };
}

/** Cuts the segments of a feature cache, or overwrites some bytes, as a failing disk might. */
function damageCache(folder: string, draw: Draw): void {
  const cache = join(folder, 'cache');
  if (!existsSync(cache)) return;
  for (const name of readdirSync(cache).filter((file) => file.endsWith('.features'))) {
    const path = join(cache, name);
    const bytes = readFileSync(path);
    if (bytes.length === 0 || draw(3) === 0) continue;
    if (draw(2) === 0) truncateSync(path, draw(bytes.length));
    else {
      for (let i = 0; i < 40; i++) bytes[draw(bytes.length)]! ^= 1 << draw(8);
      writeFileSync(path, bytes);
    }
  }
}
