import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Progress } from '../../src/cli/progress.ts';
import { uniform } from '../../src/common/random.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import {
  loseDevice,
  pickNumbers,
  refuseMemory,
  runOnDevice,
  type UndisturbedDevice,
} from './device-faults.ts';
import { deviceKinds, type Kind, prepareImages } from './kinds.ts';
import { chosenBy, type Outcome, type Part, type TortureOptions } from './part.ts';

/** One run on a device with a fault. */
interface Trial {
  readonly what: string;
  run(gpu: Gpu): Promise<string[]>;
}

type Trials = (undisturbed: UndisturbedDevice, options: TortureOptions) => { all: number; trials: Trial[] };

/** Does every kind of work again and again on a device with a fault, each time another. */
export class DeviceRuns implements Part {
  readonly name: string;
  readonly #counted: string;
  readonly #trials: Trials;
  readonly #folder: string;
  readonly #options: TortureOptions;
  readonly #rows: { kind: string; all: number; tried: number; identical: number }[] = [];
  readonly #wrong: string[] = [];

  private constructor(
    name: string,
    counted: string,
    trials: Trials,
    scratch: string,
    options: TortureOptions,
  ) {
    this.name = name;
    this.#counted = counted;
    this.#trials = trials;
    this.#folder = join(scratch, name);
    this.#options = options;
  }

  /** Loses the device at many submissions; where a run has fewer of them, at all and then at two in one run. */
  static losses(scratch: string, options: TortureOptions): DeviceRuns {
    return new DeviceRuns('losses', 'submissions', losses, scratch, options);
  }

  /** Leaves no room for one buffer after the other. */
  static memory(scratch: string, options: TortureOptions): DeviceRuns {
    return new DeviceRuns('memory', 'buffers', refusals, scratch, options);
  }

  async run(): Promise<void> {
    mkdirSync(this.#folder);
    await prepareImages(join(this.#folder, 'any'));
    const gpu = await openGpu();
    try {
      for (const kind of chosenBy(deviceKinds, this.#options)) await this.#sweep(gpu, kind);
    } finally {
      gpu.close();
    }
  }

  async #sweep(gpu: Gpu, kind: Kind): Promise<void> {
    const undisturbed = await runOnDevice(gpu, kind, join(this.#folder, kind.name));
    const { all, trials } = this.#trials(undisturbed, this.#options);
    const row = { kind: kind.name, all, tried: 0, identical: 0 };
    this.#rows.push(row);
    const bar = new Progress();
    bar.start(trials.length, `${this.name}, ${kind.name}`);
    for (const { what, run } of trials) {
      const wrong = await run(gpu);
      row.tried++;
      if (wrong.length === 0) row.identical++;
      else this.#wrong.push(`${kind.name}, ${what}: ${wrong.join(', ')}`);
      bar.advance();
    }
    bar.stop();
  }

  stop(): void {}

  outcome(): Outcome {
    return {
      columns: ['kind', this.#counted, 'runs with a fault', 'identical'],
      rows: this.#rows.map(({ kind, all, tried, identical }) => [kind, all, tried, identical]),
      wrong: this.#wrong,
    };
  }
}

const losses: Trials = (undisturbed, { faults, seed }) => {
  const { submissions: all } = undisturbed;
  const single = pickNumbers(all, faults, seed).map((at) => [at]);
  const drawn = (i: number) => 1 + Math.floor(uniform(seed, 0x6100, i) * all);
  const pairs = Array.from({ length: Math.max(0, faults - single.length) }, (_, i) => [
    drawn(2 * i),
    drawn(2 * i + 1),
  ]);
  const trials = [...single, ...pairs].map((at) => ({
    what: `lost at submission ${at.join(' and ')} of ${all}`,
    run: (gpu: Gpu) => loseDevice(gpu, undisturbed, at),
  }));
  return { all, trials };
};

const refusals: Trials = (undisturbed, { faults, seed }) => {
  const { allocations: all } = undisturbed;
  const trials = pickNumbers(all, faults, seed).map((nth) => ({
    what: `no room for buffer ${nth} of ${all}`,
    run: (gpu: Gpu) => refuseMemory(gpu, undisturbed, nth),
  }));
  return { all, trials };
};
