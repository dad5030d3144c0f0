/**
 * What a training step costs the host: the step of `train.js` with cached features, at ViT-B/16's size, on Dawn's null
 * backend, which accepts every command and computes nothing.
 */
import { type Gpu, openGpu } from '../src/kernels/gpu.ts';
import { generatedClip, trainingSetup } from './model.ts';

/** Of one way to run the step. */
export interface HostCost {
  readonly dispatchesPerStep: number;
  readonly submitsPerStep: number;
  /** GPUBuffers created in a step of the steady state: pooled, uniform and staging ones. */
  readonly buffersPerStep: number;
  readonly bindGroupsPerStep: number;
  /** Median over steps of the host time from one step's end to the next one's, batch upload and submission included. */
  readonly microsecondsPerStep: number;
  readonly microsecondsPerDispatch: number;
}

/** The section `host` of the results. */
export interface HostResults {
  readonly backend: 'null';
  readonly batch: number;
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

async function cost(gpu: Gpu, steps: number, capture: boolean): Promise<HostCost> {
  const clip = await generatedClip(gpu, { vision: false });
  const epochs = 3;
  const setup = await trainingSetup(gpu, clip, { steps, epochs }, { capture });
  const calls = countCalls(gpu.device, ['createBuffer', 'createBindGroup']);
  const marks: {
    epoch: number;
    at: number;
    dispatches: number;
    submits: number;
    buffers: number;
    groups: number;
  }[] = [];
  const mark = (epoch: number) =>
    marks.push({
      epoch,
      at: performance.now(),
      dispatches: gpu.counters.dispatches,
      submits: gpu.counters.submits,
      buffers: calls.createBuffer,
      groups: calls.createBindGroup,
    });
  await setup.loop.run(
    { epoch: 0, records: [], best: null },
    { step: (_done, _total, epoch) => void mark(epoch) },
  );
  setup.dispose();
  clip.dispose();
  // The last epoch, warmed up by those before it.
  const last = marks.filter(({ epoch }) => epoch === epochs - 1);
  const first = last[0]!;
  const end = last.at(-1)!;
  const count = last.length - 1;
  const times = last
    .slice(1)
    .map(({ at }, i) => at - last[i]!.at)
    .sort((a, b) => a - b);
  const microsecondsPerStep = 1000 * times[Math.floor(times.length / 2)]!;
  const dispatchesPerStep = (end.dispatches - first.dispatches) / count;
  return {
    dispatchesPerStep,
    submitsPerStep: (end.submits - first.submits) / count,
    buffersPerStep: (end.buffers - first.buffers) / count,
    bindGroupsPerStep: (end.groups - first.groups) / count,
    microsecondsPerStep,
    microsecondsPerDispatch: microsecondsPerStep / dispatchesPerStep,
  };
}

/** Measures the step captured and replayed, and run anew each time. */
export async function measureHost({ quick = false } = {}): Promise<HostResults> {
  const steps = quick ? 40 : 200;
  const measured: Partial<Record<'captured' | 'plain', HostCost>> = {};
  for (const capture of [true, false]) {
    const gpu = await openGpu({ backend: 'null' });
    measured[capture ? 'captured' : 'plain'] = await cost(gpu, steps, capture);
    gpu.close();
  }
  return { backend: 'null', batch: 32, captured: measured.captured!, plain: measured.plain! };
}
