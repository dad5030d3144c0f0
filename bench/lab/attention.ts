/**
 * The lab for attention: every variant by number, forward and backward, each checked against float64 on the CPU and timed,
 * with the share of the multiply-add ceiling measured in between.
 *
 * Operations are counted as for full attention (4·T²·D a head forward, 10·T²·D backward): what a mask saves shows as speed.
 */
import { runCommand } from '../../src/cli/command.ts';
import { maxError } from '../../src/common/compare.ts';
import { UserError } from '../../src/common/errors.ts';
import {
  type AttentionMask,
  applicableAttention,
  applicableAttentionGradients,
  attentionBackward,
  attentionForward,
  attentionGradientVariants,
} from '../../src/kernels/attention/index.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { referenceAttention, subtreeEnds } from '../../src/reference/attention.ts';
import { uniformRandoms } from '../../test/reference/values.ts';
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

const form = 'BxHxTxD:mask';
const masks: readonly AttentionMask[] = ['none', 'causal', 'tree'];
const command = labCommand('attention', attentionGradientVariants, {
  form: `${form} with a mask of ${masks.join(', ')}`,
  byDefault: '8x12x197x64:none,6x8x77x64:causal,1x8x35x64:tree',
});

interface Shape {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  readonly headDim: number;
  readonly mask: AttentionMask;
}

function parseShape(text: string): Shape {
  const [sizes, mask = 'none'] = text.split(':') as [string, AttentionMask];
  if (!masks.includes(mask)) throw new UserError(`${mask} is not a mask`, `Masks: ${masks.join(', ')}.`);
  const [batch, heads, tokens, headDim] = shapeNumbers(sizes, 4, form);
  return { batch: batch!, heads: heads!, tokens: tokens!, headDim: headDim!, mask };
}

await runCommand<LabOptions>(command, async (options, given) => {
  const chosen = chosenVersions(given, attentionGradientVariants);
  const shapes = options.shapes.split(',').map(parseShape);
  await runLab('attention', options, shapes, (gpu, probe, shape, number) =>
    measure(gpu, probe, number, shape, chosen, options),
  );
});

/** A third of interleaved rows, by itself. */
function thirdOf(rows: Float32Array, width: number, part: number): Float32Array {
  const third = new Float32Array(rows.length / 3);
  for (let at = 0; at < third.length; at += width)
    third.set(rows.subarray(3 * at + part * width, 3 * at + (part + 1) * width), at);
  return third;
}

/** One shape: each version's results first, then their times in turns. */
async function measure(
  gpu: Gpu,
  probe: ReturnType<typeof ceilingProbe>,
  number: number,
  { batch, heads, tokens, headDim, mask }: Shape,
  chosen: readonly number[],
  options: LabOptions,
): Promise<LadderTable> {
  const clock = clockOf(options);
  const { upload, empty, download, release } = workspace(gpu);
  const width = heads * headDim;
  const rows = batch * tokens;
  const random = (stream: number, range: number) =>
    uniformRandoms(rows * width, 10 * number + stream).map((value) => (value * range) / 2);
  const [q, k, v, dOut] = [random(1, 4), random(2, 4), random(3, 2), random(4, 2)];
  // A stem of prompts that branch off it: every third row hangs on the stem.
  const end = subtreeEnds(
    Array.from({ length: tokens }, (_, j) => (j % 3 === 2 ? Math.floor(j / 4) : j - 1)),
  );
  const common = { batch, queries: tokens, keys: tokens, heads, headDim, mask };
  const expected = referenceAttention({ ...common, q, k, v, dOut, end });

  const joined = new Float32Array(rows * 3 * width);
  for (const [part, data] of [q, k, v].entries())
    for (let row = 0; row < rows; row++)
      joined.set(data.subarray(row * width, (row + 1) * width), (row * 3 + part) * width);
  const qkv = upload(joined);
  const [dqkv, out, lse] = [empty(joined.length), empty(q.length), empty(batch * heads * tokens)];
  const [dO, ends] = [upload(dOut), upload(end)];
  const third = (buffer: typeof qkv, part: number) => ({ buffer, offset: part * width, stride: 3 * width });
  const tensors = { ...common, end: ends, q: third(qkv, 0), k: third(qkv, 1), v: third(qkv, 2), out, lse };
  const gradients = { dOut: dO, dq: third(dqkv, 0), dk: third(dqkv, 1), dv: third(dqkv, 2) };

  const applicable = applicableAttentionGradients(gpu, tensors);
  const forward = applicableAttention(gpu, tensors);
  const runs = chosen.flatMap((n) => {
    const variant = attentionGradientVariants[n];
    if (!variant || !applicable.includes(variant)) return [];
    const run = (name: 'forward' | 'backward', ops: number) => [
      { n, variant, name, times: [] as number[], error: 0, ops },
    ];
    return [...(forward.includes(variant) ? run('forward', 4) : []), ...run('backward', 10)];
  });
  const encode = ({ name, variant }: (typeof runs)[number]) =>
    name === 'forward'
      ? attentionForward(gpu, { ...tensors, variant })
      : attentionBackward(gpu, { ...tensors, ...gradients, variant });
  for (const run of runs) {
    encode(run);
    if (run.name === 'forward') run.error = maxError(await download(out, q.length), expected.out);
    else {
      const got = await download(dqkv, joined.length);
      run.error = Math.max(
        ...[expected.dq, expected.dk, expected.dv].map((one, part) =>
          maxError(thirdOf(got, width, part), one),
        ),
      );
    }
  }
  const clocks = runs.map((run) => launchClock(gpu, () => encode(run), clock));
  for (let round = 0; round < options.rounds; round++) {
    await probe.round();
    for (const [i, run] of runs.entries()) {
      const fastest = Math.min(...runs.filter(({ name }) => name === run.name).flatMap(({ times }) => times));
      // Two samples: one may have caught a moment in which another program had the machine.
      if (run.times[1] && Math.min(...run.times) > 4 * fastest) continue;
      run.times.push(await clocks[i]!());
    }
  }
  release();
  const table = runs.map(({ variant, name, times, error, ops }) => {
    const ms = Math.min(...times);
    const speed = (ops * batch * heads * tokens * tokens * headDim) / ms / 1e6;
    return { version: variant, direction: name, ms, speed, error };
  });
  const shape = `${batch}x${heads}x${tokens}x${headDim} ${mask}`;
  return { shape, unit: 'GFLOP/s', ceiling: probe.best().gflops, rows: table };
}
