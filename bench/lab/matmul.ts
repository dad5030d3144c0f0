/**
 * The lab for matrix products: every version by name, each checked against the CPU and timed, with the share of the
 * multiply-add ceiling measured in between.
 */
import { Option } from 'commander';
import { runCommand } from '../../src/cli/command.ts';
import { maxError } from '../../src/common/compare.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import {
  applicableMatmuls,
  type MatmulOptions,
  matmul,
  matmulVariants,
} from '../../src/kernels/matmul/index.ts';
import { exactHalves, uniformRandoms } from '../../test/reference/values.ts';
import { workspace } from '../../test/reference/workspace.ts';
import { type ceilingProbe, launchClock } from '../ceiling.ts';
import {
  chosenVersions,
  clockOf,
  type LabOptions,
  labCommand,
  runLab,
  shapeNumbers,
} from '../lab-options.ts';
import type { LadderTable } from '../ladder.ts';

interface Options extends LabOptions {
  readonly layout: 'nt' | 'nn' | 'tn';
  readonly half?: boolean;
}

const form = 'MxKxN';
const command = labCommand('matmul', matmulVariants, {
  form,
  byDefault: '35x512x2048,197x768x768,462x512x2048,1576x768x768,1576x768x3072,1576x3072x768',
})
  .addOption(
    new Option('--layout <layout>', 'A and B as they are (n) or transposed (t)')
      .choices(['nt', 'nn', 'tn'])
      .default('nt'),
  )
  .option('--half', 'B in float16');

await runCommand<Options>(command, async (options, given) => {
  const chosen = chosenVersions(given, matmulVariants);
  const shapes = options.shapes
    .split(',')
    .map((text) => shapeNumbers(text, 3, form) as [number, number, number]);
  await runLab('matmul', options, shapes, (gpu, probe, shape) => measure(gpu, probe, shape, chosen, options));
});

/** One shape: each version's result first, then their times in turns. */
async function measure(
  gpu: Gpu,
  probe: ReturnType<typeof ceilingProbe>,
  [m, k, n]: readonly [number, number, number],
  chosen: readonly number[],
  lab: Options,
): Promise<LadderTable> {
  const clock = clockOf(lab);
  const transposeA = lab.layout[0] === 't';
  const transposeB = lab.layout[1] === 't';
  const a = uniformRandoms(m * k, 1);
  const half = lab.half ? exactHalves(k * n) : undefined;
  const b = half?.values ?? uniformRandoms(k * n, 2);
  const { upload, empty, download, release } = workspace(gpu);
  const options: MatmulOptions = {
    a: upload(a),
    b: upload(half?.bits ?? b),
    out: empty(m * n),
    m,
    n,
    k,
    transposeA,
    transposeB,
    bType: half ? 'f16' : 'f32',
  };
  const applicable = applicableMatmuls(gpu, options);
  const samples = Array.from({ length: 500 }, (_, sample) => {
    const i = sample < 20 ? m - 1 : (sample * 7919) % m;
    const j = sample % 7 === 0 ? n - 1 : (sample * 104729) % n;
    let value = 0;
    for (let q = 0; q < k; q++)
      value += a[transposeA ? q * m + i : i * k + q]! * b[transposeB ? j * k + q : q * n + j]!;
    return { at: i * n + j, value };
  });
  const clocks = new Map<number, () => Promise<number>>();
  const times = new Map<number, number[]>();
  const errors = new Map<number, number>();
  for (const number of chosen) {
    const variant = matmulVariants[number];
    if (!variant || !applicable.includes(variant)) continue;
    matmul(gpu, { ...options, variant });
    const got = await download(options.out, m * n);
    errors.set(
      number,
      maxError(
        samples.map(({ at }) => got[at] ?? Number.NaN),
        samples.map(({ value }) => value),
      ),
    );
    times.set(number, []);
    clocks.set(
      number,
      launchClock(gpu, () => matmul(gpu, { ...options, variant }), clock),
    );
  }
  for (let round = 0; round < lab.rounds; round++) {
    await probe.round();
    for (const [number, list] of times) {
      // Two samples: one may have caught a moment in which another program had the machine.
      if (list[1] && Math.min(...list) > 4 * Math.min(...[...times.values()].flat())) continue;
      list.push(await clocks.get(number)!());
    }
  }
  release();
  const rows = [...times].map(([number, list]) => {
    const ms = Math.min(...list);
    const speed = (2 * m * n * k) / ms / 1e6;
    return { version: matmulVariants[number]!, direction: '', ms, speed, error: errors.get(number)! };
  });
  const shape = `${m}x${k}x${n} ${lab.layout}${half ? ' f16' : ''}`;
  return { shape, unit: 'GFLOP/s', ceiling: probe.best().gflops, rows };
}
