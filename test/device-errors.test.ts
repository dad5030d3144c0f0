import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { multiply } from '../src/autograd/ops/arithmetic.ts';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { nextTicks } from '../src/kernels/device/event-loop.ts';
import { Gpu } from '../src/kernels/device/gpu.ts';
import { Lineage } from '../src/kernels/device/lineage.ts';
import { openDevice } from '../src/kernels/node/open-gpu.ts';

const bindings = `
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) `;
const double = { name: 'double', source: `${bindings}fn main() { out[0] = 2 * x[0]; }` };
const broken = { name: 'broken', source: `${bindings}fn main() { out[0] = 2 * y[0]; }` };

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeAll(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  await nextTicks(8);
  expect(unhandled).toEqual([]);
});
afterAll(() => void process.off('unhandledRejection', note));

/** A device that says its errors at once, as in Node, or later, as in a browser. */
async function open(immediate: boolean): Promise<Gpu> {
  const lineage = new Lineage<Gpu>(() => Promise.reject(new Error('not again')));
  return new Gpu({ ...(await openDevice()), immediate }, lineage);
}

/** The error of a mistake, wherever it is thrown: where it was made, or by the read after it. */
async function errorOf(gpu: Gpu, mistake: () => void): Promise<string> {
  try {
    mistake();
  } catch (error) {
    return `at once: ${(error as Error).message}`;
  }
  return gpu.finish().then(
    () => 'none',
    (error: Error) => `at the next wait: ${error.message}`,
  );
}

describe.each([
  { immediate: true, when: 'at once' },
  { immediate: false, when: 'at the next wait' },
])('a mistake, told $when', ({ immediate, when }) => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await open(immediate);
  });
  afterAll(() => gpu.close());

  /** Runs a kernel on 21. */
  const result = async (kernel: typeof double) => {
    const [x, out] = [Tensor.from(gpu, [21]), Tensor.zeros(gpu, [1])];
    gpu.run(kernel, { buffers: [x.buffer, out.buffer], groups: [1] });
    const [value] = await out.read();
    for (const tensor of [x, out]) tensor.dispose();
    return value;
  };

  const mistakes: Record<string, [make: (x: Tensor, out: Tensor) => void, says: RegExp, early?: true]> = {
    'a kernel that does not compile': [
      (x, out) => gpu.run(broken, { buffers: [x.buffer, out.buffer], groups: [1] }),
      /kernel broken does not compile:\nunresolved value 'y'\n +4 \| .*y\[0\]/,
    ],
    'too many workgroups': [
      (x, out) => gpu.run(double, { buffers: [x.buffer, out.buffer], groups: [70_000] }),
      /kernel double: \[70000\] .* up to 65535/,
      true,
    ],
    'half a workgroup': [
      (x, out) => gpu.run(double, { buffers: [x.buffer, out.buffer], groups: [1, 0.5] }),
      /kernel double: \[1, 0.5\] /,
      true,
    ],
    'a kernel without an entry point': [
      (x, out) =>
        gpu.run(
          { name: 'empty', source: bindings.replace(/@compute.*/, '') },
          { buffers: [x.buffer, out.buffer], groups: [1] },
        ),
      /kernel empty: /,
    ],
    'a buffer smaller than the kernel declares it': [
      (x, out) =>
        gpu.run(
          { name: 'large', source: double.source.replace('array<f32>', 'array<f32, 1000>') },
          { buffers: [x.buffer, out.buffer], groups: [1] },
        ),
      /\b4000\b/,
    ],
    'a texture in place of a buffer': [
      (x) => {
        const texture = gpu.textures.allocate(1, 1);
        try {
          gpu.run(double, { buffers: [x.buffer, texture], groups: [1] });
        } finally {
          gpu.pool.release(texture);
        }
      },
      /kernel double: /,
    ],
    'a buffer that was given back': [
      (x) => {
        const gone = gpu.pool.allocate(4);
        gpu.pool.release(gone);
        gpu.run(double, { buffers: [x.buffer, gone], groups: [1] });
      },
      /kernel double: buffer 1 was returned/,
      true,
    ],
    'a copy beyond the end': [
      (x, out) => gpu.copy(x.buffer, 0, out.buffer, 4, 256),
      /a copy of 256 bytes at 4 of buffer \d+, which has 256/,
      true,
    ],
    'a copy into itself': [(x) => gpu.copy(x.buffer, 0, x.buffer, 4, 4), /a copy within buffer \d+/, true],
    'a write beyond the end': [
      (x) => gpu.write(x.buffer, new Float32Array(1000)),
      /a write of 4000 bytes at 0 of buffer \d+, which has 256/,
      true,
    ],
    'a write of odd bytes': [(x) => gpu.write(x.buffer, new Uint8Array(3)), /a write of 3 bytes/, true],
  };

  it.each(Object.entries(mistakes))('%s: once, and the device goes on', async (_, [make, says, early]) => {
    const [x, out] = [Tensor.from(gpu, [21]), Tensor.from(gpu, [0])];
    for (let again = 0; again < 2; again++) {
      const told = await errorOf(gpu, () => make(x, out));
      expect(told).toMatch(says);
      expect(told.startsWith(early ? 'at once: ' : `${when}: `)).toBe(true);
      await gpu.finish();
    }
    expect(await result(double)).toBe(42);
    expect(await result({ ...broken, source: broken.source.replace('y[0]', 'x[0]') })).toBe(42);
    for (const tensor of [x, out]) tensor.dispose();
    expect(gpu.pool.statistics.liveBuffers).toBe(0);
  });

  it('a read beyond the end', async () => {
    const x = Tensor.from(gpu, [21]);
    await expect(gpu.read(x.buffer, 1000)).rejects.toThrow(/a read of 1000 bytes at 0/);
    expect(await x.read()).toEqual(Float32Array.of(21));
    x.dispose();
  });

  it('in a capture: the step is not kept, its buffers go back, and the next capture works', async () => {
    const x = Tensor.from(gpu, [3]);
    const { liveBytes } = gpu.pool.statistics;
    const told = await errorOf(gpu, () => {
      const { recording } = gpu.capture(() =>
        scope(() => {
          const square = multiply(x, x);
          const out = Tensor.empty(gpu, [1]);
          gpu.run(broken, { buffers: [square.buffer, out.buffer], groups: [1] });
        }),
      );
      recording.dispose();
    });
    expect(told).toMatch(/kernel broken does not compile/);
    expect(gpu.pool.statistics.liveBytes).toBe(liveBytes);
    const { recording, value } = gpu.capture(() => scope(() => multiply(x, x)));
    recording.replay();
    expect(await value.read()).toEqual(Float32Array.of(9));
    recording.dispose();
    for (const tensor of [value, x]) tensor.dispose();
  });
});

it('what was recorded around a mistake is done all the same', async () => {
  const gpu = await open(true);
  const x = Tensor.from(gpu, [21]);
  const [before, damaged, after] = [0, 0, 0].map(() => Tensor.from(gpu, [0]));
  const run = (kernel: typeof double, out: Tensor) =>
    gpu.run(kernel, { buffers: [x.buffer, out.buffer], groups: [1] });
  const small = { name: 'small', source: double.source.replace('array<f32>', 'array<f32, 1000>') };
  run(double, before!);
  for (const kernel of [broken, small]) expect(() => run(kernel, damaged!)).toThrow(`kernel ${kernel.name}`);
  run(double, after!);
  for (const out of [before, after]) expect(await out!.read()).toEqual(Float32Array.of(42));
  expect(await damaged!.read()).toEqual(Float32Array.of(0));
  gpu.close();
});

it('nobody need wait for an error', async () => {
  for (const immediate of [true, false]) {
    const gpu = await open(immediate);
    const [x, out] = [Tensor.from(gpu, [21]), Tensor.zeros(gpu, [1])];
    try {
      gpu.run(broken, { buffers: [x.buffer, out.buffer], groups: [1] });
    } catch {}
    gpu.close();
    await nextTicks(8);
  }
});
