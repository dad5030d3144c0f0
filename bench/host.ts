/**
 * What a training step costs the host: the step of `train.js` with cached features, at ViT-B/16's size, on Dawn's null
 * backend, which accepts every command and computes nothing.
 */
import { median } from '../src/common/median.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { generatedClip, trainingSetup } from './model.ts';
import { type BenchOptions, digits, markdownTable, type Section } from './section.ts';

/** Of one way to run the step. */
export interface HostCost {
  readonly dispatchesPerStep: number;
  readonly submitsPerStep: number;
  /** GPUBuffers created in a step of the steady state: pooled, uniform and staging ones. */
  readonly buffersPerStep: number;
  readonly bindGroupsPerStep: number;
  /** From one step's end to the next one's: batch upload, commands and submission. The median step of the best epoch. */
  readonly microsecondsPerStep: number;
  readonly microsecondsPerDispatch: number;
}

/** The section `host` of the results. */
export interface HostResults {
  readonly backend: 'null';
  readonly batch: number;
  /** Of Dawn alone, in the same run: pipeline, bind group and dispatch, in submissions of 250. */
  readonly bareMicrosecondsPerDispatch: number;
  readonly captured: HostCost;
  readonly plain: HostCost;
}

/** Calls of a device's methods, counted from here on. */
export function countCalls<K extends 'createBuffer' | 'createBindGroup'>(
  device: GPUDevice,
  names: readonly K[],
) {
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
  for (const name of names) {
    const original = device[name].bind(device) as (...args: unknown[]) => unknown;
    Object.defineProperty(device, name, {
      configurable: true,
      value: (...args: unknown[]) => {
        counts[name]++;
        return original(...args);
      },
    });
  }
  return counts;
}

interface Mark {
  readonly at: number;
  readonly dispatches: number;
  readonly submits: number;
  readonly buffers: number;
  readonly groups: number;
}

/** The costs of a step: counts over all steps but those of the first epoch, time as the best epoch's median. */
async function cost(gpu: Gpu, epochs: number, capture: boolean): Promise<HostCost> {
  const clip = await generatedClip(gpu, { vision: false });
  const { loop, dispose } = await trainingSetup(
    gpu,
    clip,
    { steps: 40, epochs: epochs + 1, tune: 'never' },
    { capture },
  );
  const calls = countCalls(gpu.device, ['createBuffer', 'createBindGroup']);
  const byEpoch: Mark[][] = [];
  const step = (_done: number, _total: number, epoch: number) => {
    const { dispatches, submits } = gpu.counters;
    const { createBuffer: buffers, createBindGroup: groups } = calls;
    (byEpoch[epoch] ??= []).push({ at: performance.now(), dispatches, submits, buffers, groups });
  };
  await loop.run({ epoch: 0, records: [], best: null }, { step });
  dispose();
  clip.dispose();
  const steady = byEpoch.slice(1);
  const perStep = (count: (mark: Mark) => number) =>
    steady.reduce((sum, marks) => sum + count(marks.at(-1)!) - count(marks[0]!), 0) /
    steady.reduce((sum, marks) => sum + marks.length - 1, 0);
  const medians = steady.map((marks) =>
    median(marks.slice(1).map(({ at }, i) => 1000 * (at - marks[i]!.at))),
  );
  const dispatchesPerStep = perStep(({ dispatches }) => dispatches);
  const microsecondsPerStep = Math.min(...medians);
  return {
    dispatchesPerStep,
    submitsPerStep: perStep(({ submits }) => submits),
    buffersPerStep: perStep(({ buffers }) => buffers),
    bindGroupsPerStep: perStep(({ groups }) => groups),
    microsecondsPerStep,
    microsecondsPerDispatch: microsecondsPerStep / dispatchesPerStep,
  };
}

const emptyKernel = {
  name: 'empty',
  source: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { out[id.x] = x[id.x] + y[id.x]; }`,
};

/** Microseconds of a dispatch that stands ready, in a submission of 250, with nothing of ours around it: Dawn's own cost. */
async function bareDispatch(gpu: Gpu, rounds: number): Promise<number> {
  // Two pipelines in turn, or the second dispatch would spare itself setPipeline.
  const kernels = [emptyKernel, { ...emptyKernel, name: 'empty too' }].map((kernel) =>
    gpu.pipelines.get(kernel),
  );
  const buffers = [1, 2, 3].map(() => gpu.pool.allocate(1024));
  const groups = kernels.map(({ layout, storage }) =>
    gpu.device.createBindGroup({
      layout,
      entries: storage.map((binding, i) => ({ binding, resource: { buffer: buffers[i]!.raw } })),
    }),
  );
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await gpu.finish();
    const start = performance.now();
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < 250; i++) {
      pass.setPipeline(kernels[i % 2]!.raw);
      pass.setBindGroup(0, groups[i % 2]!);
      pass.dispatchWorkgroups(4);
    }
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    times.push(performance.now() - start);
  }
  for (const buffer of buffers) gpu.pool.release(buffer);
  return (1000 * median(times)) / 250;
}

/** Measures the step captured and replayed, and without capture. */
async function measure({ quick }: BenchOptions): Promise<HostResults> {
  const epochs = quick ? 3 : 30;
  const run = async (capture: boolean) => {
    const gpu = await openGpu({ backend: 'null' });
    try {
      const measured = await cost(gpu, epochs, capture);
      return { measured, bare: await bareDispatch(gpu, 50) };
    } finally {
      gpu.close();
    }
  };
  const [captured, plain] = [await run(true), await run(false)];
  return {
    backend: 'null',
    batch: 32,
    bareMicrosecondsPerDispatch: Math.min(captured.bare, plain.bare),
    captured: captured.measured,
    plain: plain.measured,
  };
}

export const hostSection: Section<HostResults> = {
  name: 'host',
  summary: 'host time of a training step on the null backend, per dispatch',
  measure,
  bars: ({ captured, plain }) => [
    { what: 'dispatches per step', value: captured.dispatchesPerStep, atMost: 155 },
    { what: 'milliseconds per captured step', value: captured.microsecondsPerStep / 1000, atMost: 0.45 },
    {
      what: 'microseconds per dispatch, captured and replayed',
      value: captured.microsecondsPerDispatch,
      atMost: 3,
    },
    { what: 'microseconds per dispatch, without capture', value: plain.microsecondsPerDispatch, atMost: 12 },
    { what: 'submissions per captured step', value: captured.submitsPerStep, atMost: 1 },
    { what: 'buffers created per captured step', value: captured.buffersPerStep, atMost: 0 },
  ],
  render({ batch, bareMicrosecondsPerDispatch, captured, plain }) {
    const row = (name: string, cost: HostCost) => [
      name,
      digits(cost.microsecondsPerDispatch),
      digits(cost.microsecondsPerStep / 1000),
      cost.dispatchesPerStep,
      cost.submitsPerStep,
      cost.buffersPerStep,
      cost.bindGroupsPerStep,
    ];
    return [
      `The training step of CLIP-AGIQA with cached features at ViT-B/16's size, batch ${batch}, on Dawn's null backend: it accepts`,
      'every command and computes nothing, so what remains is the host. A step is everything from one step to the next: writing the',
      `batch, recording, submission. Dawn alone takes ${digits(bareMicrosecondsPerDispatch)} µs for a dispatch with an existing bind group.`,
      '',
      markdownTable(
        [
          'step',
          'µs per dispatch',
          'ms',
          'dispatches',
          'submissions',
          'buffers created',
          'bind groups created',
        ],
        [row('captured and replayed', captured), row('without capture', plain)],
      ),
    ].join('\n');
  },
};
