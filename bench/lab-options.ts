/** The command line that all labs share. */
import { type Command, InvalidArgumentError } from 'commander';
import { createCommand } from '../src/cli/command.ts';
import { UserError } from '../src/common/errors.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { openGpu } from '../src/self-check/open.ts';
import { type Clock, ceilingProbe } from './ceiling.ts';
import { type LadderTable, ladderText, saveLadder } from './ladder.ts';

export interface LabOptions {
  readonly shapes: string;
  readonly rounds: number;
  readonly cpu?: boolean;
  readonly save?: boolean;
}

/** A lab's command: versions by name or number, `--shapes`, `--rounds` and `--cpu`. */
export function labCommand(
  name: string,
  versions: readonly string[],
  shapes: { readonly form: string; readonly byDefault: string },
): Command {
  const file = `bench/lab/${name}`;
  const listed = versions.map((version, number) => `${number} ${version}`).join(', ');
  return createCommand(
    file,
    `Times every version of ${name}, each checked on the CPU, with the share of the adapter's ceiling, which is measured in between.`,
    [
      `node dist/${file}.js                          # all versions at the usual shapes`,
      `node dist/${file}.js ${versions[0]} ${versions.at(-1)} --shapes ${shapes.byDefault.split(',')[0]} --rounds 9`,
    ],
  )
    .argument('[versions...]', `by name or number: ${listed}; all by default`)
    .option('--shapes <list>', `${shapes.form}, separated by commas`, shapes.byDefault)
    .option('--rounds <count>', 'how many times each version takes its turn', positive, 5)
    .option('--save', 'keep the figures in bench/results/labs, for docs/kernels/')
    .option('--cpu', 'CPU time over all cores instead of wall time, for when other programs run too');
}

/** The versions asked for by name or number, as numbers. */
export function chosenVersions(given: readonly string[], versions: readonly string[]): number[] {
  if (given.length === 0) return [...versions.keys()];
  return given.map((text) => {
    const number = /^\d+$/.test(text) ? Number(text) : versions.indexOf(text);
    if (!versions[number]) throw new UserError(`no version ${text}`, `Versions: ${versions.join(', ')}.`);
    return number;
  });
}

/** A shape's numbers, `count` of them, as in 35x512x2048. */
export function shapeNumbers(text: string, count: number, form: string): number[] {
  const numbers = text.split('x').map(Number);
  if (numbers.length !== count || !numbers.every((value) => Number.isInteger(value) && value > 0))
    throw new UserError(`${text} is not a shape`, `Write it as ${form}.`);
  return numbers;
}

/** Measures each shape and prints its table; with `--save` all of them are kept. */
export async function runLab<Shape>(
  lab: string,
  options: LabOptions,
  shapes: readonly Shape[],
  measure: (
    gpu: Gpu,
    probe: ReturnType<typeof ceilingProbe>,
    shape: Shape,
    index: number,
  ) => Promise<LadderTable>,
): Promise<void> {
  const began = performance.now();
  const gpu = await openGpu();
  const probe = ceilingProbe(gpu, clockOf(options));
  const tables: LadderTable[] = [];
  for (const [index, shape] of shapes.entries()) {
    const table = await measure(gpu, probe, shape, index);
    console.log(ladderText(table));
    tables.push(table);
  }
  if (options.save) {
    const path = await saveLadder(gpu.adapter, lab, tables, (performance.now() - began) / 1000);
    console.log(`\nsaved in ${path}; node dist/bench/lab/page.js writes docs/kernels/`);
  }
  gpu.close();
}

export const clockOf = ({ cpu }: LabOptions): Clock => (cpu ? 'cpu' : 'wall');

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a positive integer.');
  return value;
}
