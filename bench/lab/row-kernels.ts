/**
 * The lab for the row-wise kernels: softmax and layer norm, forward and by x, in the naive variant and by who owns a row, each
 * checked against float64 on the CPU and timed, with the share of the copying ceiling measured in between.
 */
import { runCommand } from '../../src/cli/command.ts';
import { UserError } from '../../src/common/errors.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { applicableRowVariants, rowVariants } from '../../src/kernels/rows/row-kernel.ts';
import { type ceilingProbe, launchClock } from '../ceiling.ts';
import { expectedOf, sampleError } from '../kernels/expected.ts';
import { prepareRows } from '../kernels/ours.ts';
import { type RowTask, taskInputs, workOf } from '../kernels/tasks.ts';
import {
  chosenVersions,
  clockOf,
  type LabOptions,
  labCommand,
  runLab,
  shapeNumbers,
} from '../lab-options.ts';
import type { LadderTable } from '../ladder.ts';

const kinds = { softmax: 'softmax', layernorm: 'layerNorm' } as const;
const form = `ROWSxWIDTH:kernel with a kernel of ${Object.keys(kinds).join(', ')}`;
const command = labCommand('row-kernels', rowVariants, {
  form,
  byDefault: '18912x197:softmax,3696x77:softmax,1576x768:layernorm,35x512:layernorm',
});

function parseTask(text: string): RowTask & { readonly gradient: true } {
  const [sizes, kernel = ''] = text.split(':') as [string, string?];
  const kind = kinds[kernel as keyof typeof kinds];
  if (!kind) throw new UserError(`${text} names no kernel`, `Write it as ${form}.`);
  const [rows, width] = shapeNumbers(sizes, 2, form);
  return { kind, rows: rows!, width: width!, gradient: true };
}

await runCommand<LabOptions>(command, async (options, given) => {
  const chosen = chosenVersions(given, rowVariants);
  const tasks = options.shapes.split(',').map(parseTask);
  await runLab('row-kernels', options, tasks, (gpu, probe, task) =>
    measure(gpu, probe, task, chosen, options),
  );
});

/** One shape: each version's results first, then their times in turns. */
async function measure(
  gpu: Gpu,
  probe: ReturnType<typeof ceilingProbe>,
  task: RowTask,
  chosen: readonly number[],
  options: LabOptions,
): Promise<LadderTable> {
  const clock = clockOf(options);
  const { kind, rows, width } = task;
  const inputs = taskInputs(task);
  const samples = expectedOf(task, inputs);
  const applicable = applicableRowVariants(gpu);
  const runs = [];
  const releases: (() => void)[] = [];
  for (const n of chosen) {
    const variant = rowVariants[n]!;
    if (!applicable.includes(variant)) continue;
    const alone = prepareRows(gpu, { ...task, gradient: false }, inputs, variant);
    const both = prepareRows(gpu, task, inputs, variant);
    releases.push(alone.release, both.release);
    alone.whole.run();
    // The gradient alone reads what the forward pass left.
    both.whole.run();
    const [y, dx] = [await alone.whole.read(), (await both.whole.read()).slice(1)];
    for (const [direction, way, part, error] of [
      ['forward', alone.whole, 'whole', sampleError(y, samples.slice(0, 1))],
      ['backward', both.backward!, 'backward', sampleError(dx, samples.slice(1))],
    ] as const) {
      const work = workOf({ ...task, gradient: false }, part);
      runs.push({
        n,
        variant,
        direction,
        error,
        work,
        times: [] as number[],
        time: launchClock(gpu, way.run, clock),
      });
    }
  }
  for (let round = 0; round < options.rounds; round++) {
    await probe.round();
    for (const run of runs) run.times.push(await run.time());
  }
  for (const release of releases) release();
  const table = runs.map(({ variant, direction, error, work, times }) => {
    const ms = Math.min(...times);
    return { version: variant, direction, ms, speed: (1000 * work.amount) / ms, error };
  });
  return { shape: `${kind} ${rows}x${width}`, unit: 'GB/s', ceiling: probe.best().copyGBs, rows: table };
}
