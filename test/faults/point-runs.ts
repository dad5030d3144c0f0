import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Progress } from '../../src/cli/progress.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { describePoints } from './disk-states.ts';
import { type Kind, kinds, prepareImages } from './kinds.ts';
import { chosenBy, type Outcome, type Part, type TortureOptions } from './part.ts';
import { goneProcess, resumeFrom, runUndisturbed } from './sweep.ts';

/** Goes on from every crash point of every kind, each on its own: what the tests do of some at once. */
export class PointRuns implements Part {
  readonly name = 'points';
  readonly #folder: string;
  readonly #options: TortureOptions;
  readonly #rows: { kind: string; points: number; tried: number; identical: number }[] = [];
  readonly #wrong: string[] = [];

  constructor(scratch: string, options: TortureOptions) {
    this.#folder = join(scratch, 'points');
    this.#options = options;
  }

  async run(): Promise<void> {
    mkdirSync(this.#folder);
    await prepareImages(join(this.#folder, 'any'));
    const gpu = await openGpu();
    try {
      for (const kind of chosenBy(kinds, this.#options)) await this.#sweep(gpu, kind);
    } finally {
      gpu.close();
    }
  }

  async #sweep(gpu: Gpu, kind: Kind): Promise<void> {
    const undisturbed = await runUndisturbed(gpu, kind, join(this.#folder, kind.name));
    const { points, folder } = undisturbed;
    const row = { kind: kind.name, points: points.length, tried: 0, identical: 0 };
    this.#rows.push(row);
    const gone = goneProcess();
    const bar = new Progress();
    bar.start(points.length, `crash points of ${kind.name}`);
    for (const point of points) {
      const different = await resumeFrom(gpu, undisturbed, point, gone);
      row.tried++;
      if (different.length === 0) row.identical++;
      else this.#wrong.push(`${kind.name} ${describePoints([point], folder)}: ${different.join(', ')}`);
      bar.advance();
    }
    bar.stop();
  }

  stop(): void {}

  outcome(): Outcome {
    return {
      columns: ['kind', 'crash points', 'tried', 'identical'],
      rows: this.#rows.map(({ kind, points, tried, identical }) => [kind, points, tried, identical]),
      wrong: this.#wrong,
    };
  }
}
