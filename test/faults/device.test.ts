import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { loseDevice, pickNumbers, refuseMemory, runOnDevice } from './device-faults.ts';
import { deviceKinds, prepareImages } from './kinds.ts';

const folder = temporaryFolder('device-faults');
let gpu: Gpu;
beforeAll(async () => {
  // One of its own: what is lost would be everybody's.
  gpu = await openGpu();
  await prepareImages(join(folder, 'any'));
});
afterAll(() => {
  gpu.close();
});

// dist/torture.js tries every kind, and far more of each.
const few = ['last', 'best_val', 'pretrain', 'score', 'encode'];
describe.each(deviceKinds.filter(({ name }) => few.includes(name)))('$name', (kind) => {
  it('goes on by itself on a device that is lost, and refused memory says so: to the same bytes', async () => {
    const undisturbed = await runOnDevice(gpu, kind, join(folder, kind.name));
    const { submissions, allocations } = undisturbed;
    expect(submissions).toBeGreaterThan(5);
    expect(allocations).toBeGreaterThan(20);
    // Each of its runs takes many times as long as another's.
    const [losses, refusals] = kind.name === 'pretrain' ? [1, 1] : [3, 3];
    const wrong: string[] = [];
    for (const at of pickNumbers(submissions, losses))
      for (const what of await loseDevice(gpu, undisturbed, [at]))
        wrong.push(`lost at submission ${at} of ${submissions}: ${what}`);
    for (const nth of pickNumbers(allocations, refusals))
      for (const what of await refuseMemory(gpu, undisturbed, nth))
        wrong.push(`no room for buffer ${nth} of ${allocations}: ${what}`);
    expect(wrong).toEqual([]);
  });
});
