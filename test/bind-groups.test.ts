import { expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { BindGroups } from '../src/kernels/device/bind-groups.ts';
import { DeviceErrors } from '../src/kernels/device/errors.ts';
import { DeviceMemory } from '../src/kernels/device/memory.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const source = `
struct Params { value: u32, other: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1) fn main() { out[0] = params.value + 1000u * params.other + x[0]; }`;

it('gives one bind group for the same contents, another for any other', () => {
  const errors = new DeviceErrors({
    device: gpu.device,
    processor: gpu.adapter.software,
    immediate: true,
    watchdog: 0,
  });
  const groups = new BindGroups(gpu.device, new DeviceMemory(gpu.device, errors), errors);
  const pipelines = ['one', 'two'].map((name) => gpu.pipelines.get({ name, source }));
  const buffers = Array.from({ length: 8 }, () => gpu.pool.allocate(4));
  const twice = [1, 2].map(() => {
    const found: GPUBindGroup[] = [];
    for (const pipeline of pipelines)
      for (const x of buffers)
        for (const out of buffers)
          if (x !== out)
            for (let value = 0; value < 20; value++)
              for (const other of [0, 1, 0x80000000])
                found.push(groups.get(pipeline, [x, out], [value, other]));
    return found;
  });
  expect(new Set(twice[0]).size).toBe(2 * 8 * 7 * 20 * 3);
  expect(twice[1]!.every((group, i) => group === twice[0]![i])).toBe(true);
  for (const buffer of buffers) gpu.pool.release(buffer);
});

it('keeps pipelines of a kernel apart by their constants, in any order', () => {
  const kernel = { name: 'constants', source: `const A = 1u;\nconst B = 2u;\n${source}` };
  const get = (constants?: Record<string, number>) => gpu.pipelines.get(kernel, constants);
  expect(get({ A: 3, B: 4 })).toBe(get({ B: 4, A: 3 }));
  const distinct = [get(), get({ A: 3 }), get({ B: 3 }), get({ A: 3, B: 4 }), get({ A: 4, B: 3 })];
  expect(new Set(distinct).size).toBe(distinct.length);
  expect(get({})).toBe(get());
});

it('runs each with its own words and buffers', async () => {
  const kernel = { name: 'sum', source };
  const inputs = [Tensor.from(gpu, Uint32Array.of(7)), Tensor.from(gpu, Uint32Array.of(9))];
  for (const [i, x] of inputs.entries())
    for (const params of [
      [1, 2],
      [2, 1],
    ]) {
      const out = Tensor.empty(gpu, [1], 'u32');
      gpu.run(kernel, { buffers: [x.buffer, out.buffer], params, groups: [1] });
      expect(new Uint32Array(await out.readRaw())[0]).toBe(params[0]! + 1000 * params[1]! + [7, 9][i]!);
      out.dispose();
    }
  for (const x of inputs) x.dispose();
});
