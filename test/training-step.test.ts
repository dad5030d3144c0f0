import { describe, expect, it } from 'vitest';
import { countCalls } from '../bench/host.ts';
import { trainingSetup } from '../bench/model.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { sharedGpu } from './gpu.ts';

const weights = new URL('./fixtures/tiny-clip.json', import.meta.url).pathname;
const begin = { epoch: 0, records: [], best: null };
const options = { steps: 3, epochs: 2, nCtx: 4, batchSize: 8 };

describe('a training step', () => {
  it('gives the same bits captured and replayed as run uncaptured each time', async () => {
    const gpu = await sharedGpu();
    const clip = await loadClip(gpu, weights, { vision: false });
    const train = async (capture: boolean) => {
      const { loop, learner, dispose } = await trainingSetup(gpu, clip, options, { capture });
      const { records } = await loop.run(begin);
      const values = new Map<string, Float32Array>();
      for (const [name, tensor] of learner.parameters()) values.set(name, await tensor.read());
      dispose();
      return { losses: records.map(({ loss }) => loss), values };
    };
    const [replayed, uncaptured] = [await train(true), await train(false)];
    expect(replayed).toEqual(uncaptured);
    expect(new Set(replayed.losses).size).toBe(2);
    clip.dispose();
  });

  it('once captured makes no buffer and no bind group, and is submitted once', async () => {
    const gpu = await openGpu({ backend: 'null' });
    const calls = countCalls(gpu.device, ['createBuffer', 'createBindGroup']);
    const clip = await loadClip(gpu, weights, { vision: false });
    const { loop, dispose } = await trainingSetup(gpu, clip, options);
    const steps: number[][] = [];
    await loop.run(begin, {
      step: () => steps.push([calls.createBuffer, calls.createBindGroup, gpu.counters.submits]),
    });
    const [before, after] = [steps.at(-2)!, steps.at(-1)!];
    expect(after.map((count, i) => count - before[i]!)).toEqual([0, 0, 1]);
    expect(before[0]).toBeGreaterThan(100);
    dispose();
    clip.dispose();
    gpu.close();
  });
});
