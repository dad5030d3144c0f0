import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeScenes } from '../../src/data/datasets/scenes/make.ts';

/** One part of the kit: a command of its own, so that what crashes, hangs or takes too long ends nothing but itself. */
export interface Stage {
  readonly name: string;
  /** What it does, for the terminal. */
  readonly about: string;
  /** Seconds of eight minutes that it may take. */
  readonly seconds: number;
  /** The script in dist/ and its arguments, given the seconds it has. */
  command(seconds: number): readonly string[];
  /** Makes what it reads, in the folder in which it runs. */
  prepare?(folder: string): Promise<unknown>;
  /** Where what it prints to standard output is kept; by default nowhere. */
  readonly output?: string;
}

export interface KitOptions {
  /** The project's folder, or the portable one. */
  readonly root: string;
  readonly quick: boolean;
}

const images = 'images';

/** Reference values: a checkout's, or those that the portable folder brings along. */
const referenceOf = (root: string) =>
  [join(root, 'reference'), join(root, 'test', 'fixtures', 'reference')].find((path) => existsSync(path));

/** The stages, in order. Paths of results are relative to the folder in which they run. */
export function kitStages({ root, quick }: KitOptions): Stage[] {
  const reference = referenceOf(root);
  const bench = (section: string, about: string, seconds: number): Stage => ({
    name: section,
    about,
    seconds,
    command: (has) => [
      ...['bench.js', section, '--out', 'results', '--seconds', String(Math.max(1, Math.floor(0.85 * has)))],
      ...(quick ? ['--quick'] : []),
    ],
  });
  // ViT-B/16, whose weights are made from their names.
  const vitB16 = reference && join(reference, 'vitb16', 'weights.json');
  return [
    {
      name: 'self-check',
      about: 'what the engine relies on of the adapter',
      seconds: 30,
      command: () => ['adapter.js', '--json'],
      output: 'adapter.json',
    },
    ...(reference
      ? [
          {
            name: 'parity',
            about: 'features, gradients and training against PyTorch',
            seconds: 60,
            command: () => [
              ...['parity.js', '--reference', reference, '--json'],
              ...(quick ? ['--only', 'forward', 'training'] : []),
            ],
            output: 'parity.json',
          },
        ]
      : []),
    bench('tuner', 'which kernel variants are the fastest here', 90),
    bench('kernels', "kernels against the adapter's ceiling", 110),
    bench('train', 'the training step', 70),
    bench('encode', 'images through ViT-B/16', 55),
    {
      name: 'step',
      about: 'the dispatches of a training step, by timestamps',
      // A batch of 32 is what the step takes of them.
      prepare: (folder) => makeScenes(join(folder, images), { scenes: 8, versions: 6, size: 64, seed: 1 }),
      seconds: 50,
      command: () => [
        ...['step.js', '--page', 'step.html', '--json', 'step.json'],
        ...['--root', images, '--views', '1', '--cache', 'none'],
        ...(vitB16 && !quick ? ['--weights', vitB16] : ['--rounds', '5']),
      ],
    },
  ];
}
