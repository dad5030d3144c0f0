import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { nextTicks } from '../src/kernels/device/event-loop.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';

const source = `@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = 2.0; }`;

it('a device may be closed whatever is under way: Dawn finds its instance until it has looked for the last time', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 6; i++) {
    const gpu = await openGpu();
    const y = gpu.pool.allocate(32);
    gpu.run({ name: 'two', source }, { buffers: [y], groups: [1] });
    if (i % 2 === 0) expect(new Float32Array(await gpu.read(y, 4))[0]).toBe(2);
    else gpu.flush();
    gpu.close();
    gpu.close();
    // An instance collected too early crashed the process here, or had it wait for ever.
    for (let turn = 0; turn < 8; turn++) {
      collect();
      await nextTicks(1);
    }
  }
});
