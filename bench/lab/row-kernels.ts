/**
 * The lab for the row-wise kernels: softmax and layer norm, forward and by x, a row to a lane, to a subgroup and to a workgroup,
 * each checked against float64 on the CPU and timed, with the share of the copying ceiling measured in between.
 */
import { runCommand } from '../../src/cli/command.ts';
import { UserError } from '../../src/common/errors.ts';
import type { GpuBuffer } from '../../src/kernels/buffer-pool.ts';
import { type Gpu, openGpu } from '../../src/kernels/gpu.ts';
import { layerNormDx, layerNormForward } from '../../src/kernels/layernorm.ts';
import { applicableRowSharing, type RowSharing } from '../../src/kernels/row-sharing.ts';
import { softmax, softmaxDx } from '../../src/kernels/softmax.ts';
import { ceilingProbe, milliseconds } from '../ceiling.ts';
import { expectedOf, sampleError } from '../kernels/expected.ts';
import { type RowTask, taskInputs, workOf } from '../kernels/tasks.ts';
import { chosenVersions, clockOf, type LabOptions, labCommand, shapeNumbers } from '../lab-options.ts';

const versions: readonly RowSharing[] = ['lane', 'subgroup', 'workgroup'];
const kinds = { softmax: 'softmax', layernorm: 'layerNorm' } as const;
const form = `ROWSxWIDTH:kernel with a kernel of ${Object.keys(kinds).join(', ')}`;
const command = labCommand('row-kernels', versions, {
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
  const chosen = chosenVersions(given, versions);
  const tasks = options.shapes.split(',').map(parseTask);
  const gpu = await openGpu();
  const probe = ceilingProbe(gpu, clockOf(options));
  for (const task of tasks) await measure(gpu, probe, task, chosen, options);
  gpu.close();
});

/** Both directions of one shape as functions of the sharing, and their outputs. */
function prepare(gpu: Gpu, { kind, rows, width }: RowTask, inputs: ReturnType<typeof taskInputs>) {
  const held: GpuBuffer[] = [];
  const empty = (elements: number) => {
    const buffer = gpu.pool.allocate(4 * elements);
    held.push(buffer);
    return buffer;
  };
  const upload = (data: Float32Array) => {
    const buffer = empty(data.length);
    gpu.write(buffer, data);
    return buffer;
  };
  const count = rows * width;
  const [x, dy, y, dx] = [upload(inputs.x!), upload(inputs.dy!), empty(count), empty(count)];
  const release = () => {
    for (const buffer of held) gpu.pool.release(buffer);
  };
  if (kind === 'softmax')
    return {
      ...{ y, dx, release },
      forward: (sharing: RowSharing) => softmax(gpu, x, y, rows, width, { sharing }),
      backward: (sharing: RowSharing) => softmaxDx(gpu, y, dy, dx, rows, width, { sharing }),
    };
  const affine = { gamma: upload(inputs.weight!), beta: upload(inputs.bias!) };
  const moments = empty(2 * rows);
  const shape = { rows, width, eps: 1e-5 };
  return {
    ...{ y, dx, release },
    forward: (sharing: RowSharing) => layerNormForward(gpu, { x, affine, y, moments, ...shape, sharing }),
    backward: (sharing: RowSharing) =>
      layerNormDx(gpu, { x, moments, dy, gamma: affine.gamma, residual: null, dx, ...shape, sharing }),
  };
}

/** One shape: each version's results first, then their times in turns. */
async function measure(
  gpu: Gpu,
  probe: ReturnType<typeof ceilingProbe>,
  task: RowTask,
  chosen: readonly number[],
  options: LabOptions,
): Promise<void> {
  const clock = clockOf(options);
  const { kind, rows, width } = task;
  const inputs = taskInputs(task);
  const [expectedY, expectedDx] = expectedOf(task, inputs);
  const prepared = prepare(gpu, task, inputs);
  const applicable = applicableRowSharing(gpu);
  const runs = [];
  for (const n of chosen) {
    const sharing = versions[n]!;
    if (!applicable.includes(sharing)) continue;
    for (const direction of ['forward', 'backward'] as const) {
      const encode = () => prepared[direction](sharing);
      encode();
      const [out, expected] = direction === 'forward' ? [prepared.y, expectedY] : [prepared.dx, expectedDx];
      const error = sampleError([new Float32Array(await gpu.read(out, 4 * rows * width))], [expected!]);
      const work = workOf({ ...task, gradient: false }, direction === 'forward' ? 'whole' : 'backward');
      runs.push({ n, sharing, direction, encode, error, work, times: [] as number[] });
    }
  }
  for (let round = 0; round < options.rounds; round++) {
    await probe.round();
    for (const run of runs) run.times.push(await milliseconds(gpu, run.encode, clock));
  }
  const { copyGBs } = probe.best();
  console.log(`\n${kind} ${rows}x${width}   copy ${copyGBs.toFixed(1)} GB/s`);
  for (const { n, sharing, direction, error, work, times } of runs) {
    const ms = Math.min(...times);
    const speed = (1000 * work.amount) / ms;
    console.log(
      `${String(n).padStart(3)} ${sharing.padEnd(9)} ${direction.padEnd(8)} ${ms.toFixed(2).padStart(8)} ms ${speed.toFixed(2).padStart(6)} GB/s ${((100 * speed) / copyGBs).toFixed(0).padStart(4)} %   error ${error.toExponential(1)}`,
    );
  }
  prepared.release();
}
