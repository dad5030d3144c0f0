import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { halfToFloat } from '../src/data/formats/float16.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { numericsId } from '../src/kernels/device/numerics.ts';
import { matmul } from '../src/kernels/matmul/index.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { softmax } from '../src/kernels/rows/softmax.ts';
import { VisionTransformer } from '../src/model/vit.ts';
import { loadParameters } from '../src/model/weights/parameters.ts';
import type { WeightValues } from '../src/model/weights/weights.ts';
import type { Check } from '../src/self-check/check.ts';
import { checkAdapter, everyCheck, selfCheckLines } from '../src/self-check/index.ts';
import { openGpu as openChecked } from '../src/self-check/open.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { tinyConfig, tinyTensors } from './tiny-clip.ts';

const folder = cacheFolder('self-check-');
const held: Gpu[] = [];
afterEach(() => {
  for (const gpu of held.splice(0)) gpu.close();
});

/** A device whose driver makes something else of some kernels than their WGSL says. */
async function faulty(
  change: (code: string, kernel: string) => string,
  options: Parameters<typeof openGpu>[0] = {},
): Promise<Gpu> {
  const gpu = await openGpu(options);
  held.push(gpu);
  const { device } = gpu;
  const make = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) =>
    make({ ...descriptor, code: change(descriptor.code, descriptor.label ?? '') });
  return gpu;
}
const healthy = (options?: Parameters<typeof openGpu>[0]) => faulty((code) => code, options);

const checksOf = (...names: readonly string[]): Check[] => {
  const chosen = everyCheck.filter(({ name }) => names.includes(name));
  expect(chosen).toHaveLength(names.length);
  return chosen;
};
const check = (gpu: Gpu, ...names: readonly string[]) =>
  checkAdapter(gpu, { choice: 'always', checks: checksOf(...names) });

/** What a kernel stores comes out a hundredth too large. */
const scaled = (code: string) => code.replace(/\b(out|y)\[([^\]]+)\] = ([^;]+);/g, '$1[$2] = ($3) * 1.01;');

it('finds nothing wrong here, says so once, and remembers it', async () => {
  const gpu = await healthy();
  const first = await checkAdapter(gpu);
  expect(first.findings.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['read-back', 'exp2', 'halves', 'rounding to halves', 'matmul naive']),
  );
  expect(first.findings.filter(({ wrong }) => wrong)).toEqual([]);
  expect(gpu.adapter).not.toHaveProperty('masked');
  const all = first.findings.length;
  expect(selfCheckLines(first)).toEqual([
    expect.stringMatching(
      new RegExp(`^self-check ${all} of ${all} things tried on this adapter are right \\(\\d+ ms, once`),
    ),
  ]);
  const again = await healthy();
  const second = await checkAdapter(again);
  expect(second.known).toBe(true);
  expect([again.counters.dispatches, selfCheckLines(second)]).toEqual([0, []]);
});

it('checks again on another driver, with other kernels, or where the file is damaged', async () => {
  const path = join(folder, 'clip-agiqa-webgpu', 'self-check');
  const file = join(path, readdirSync(path)[0]!);
  const text = readFileSync(file, 'utf8');
  for (const other of [
    text.slice(0, 50),
    text.replace(/"adapter": "/, '$&another '),
    text.replace(/"version": "/, '$&0'),
  ]) {
    writeFileSync(file, other);
    const gpu = await healthy();
    expect((await checkAdapter(gpu, { checks: checksOf('read-back') })).known).toBe(false);
  }
});

it('leaves out a class of products that is wrong, and products stay right', async () => {
  const [m, n, k] = [100, 64, 64];
  const product = async (gpu: Gpu) => {
    const make = (count: number) => gpu.pool.allocate(4 * count);
    const [a, b, out] = [make(m * k), make(n * k), make(m * n)];
    gpu.write(a, new Float32Array(m * k).fill(0.5));
    gpu.write(b, new Float32Array(n * k).fill(0.25));
    matmul(gpu, { a, b, out, m, n, k, transposeB: true });
    return new Float32Array(await gpu.read(out, 4 * m * n))[n + 1]!;
  };
  const gpu = await faulty((code, kernel) => (kernel === 'matmul_tile' ? scaled(code) : code), {
    profile: ['gpu'],
  });
  expect(await product(gpu)).toBeCloseTo(8.08, 5);
  const before = numericsId(gpu);
  const found = await check(gpu, 'matmul naive', 'matmul tile');
  expect(found.findings.map(({ wrong }) => wrong !== undefined)).toEqual([false, true]);
  expect(gpu.adapter.masked).toEqual(['matmul tile']);
  expect(await product(gpu)).toBe(8);
  expect(numericsId(gpu)).not.toBe(before);
  expect(selfCheckLines(found)[1]).toMatch(
    /^self-check matmul tile: number \d+ of 1260 is \S+ and not \S+\. The engine does without matmul tile here$/,
  );
});

it('leaves out a way to share rows, whichever kernel works by rows', async () => {
  const gpu = await faulty((code, kernel) => (kernel.endsWith('_workgroup') ? scaled(code) : code), {
    profile: ['gpu', 'no-subgroups'],
  });
  const found = await check(gpu, 'rows by naive', 'rows by workgroup');
  expect(found.gpu.adapter.masked).toEqual(['rows workgroup']);
  expect(await softmaxOfFour(gpu)).toEqual(Array(4).fill(0.25));
});

it('leaves out what the driver refuses to compile, and one that takes the device with it', async () => {
  const gpu = await faulty((code, kernel) => (kernel.includes('_lane') ? `${code} nonsense` : code));
  const fatal: Check = {
    name: 'fatal',
    masks: ['matmul few'],
    applies: () => true,
    run: async (on) => {
      on.device.destroy();
      await on.device.lost;
      return undefined;
    },
  };
  const checks = [...checksOf('rows by lane'), fatal, ...checksOf('read-back')];
  const { gpu: left, findings } = await checkAdapter(gpu, { choice: 'always', checks });
  held.push(left);
  expect(left).not.toBe(gpu);
  expect(findings.map(({ wrong = 'ok' }) => wrong)).toEqual([
    expect.stringMatching(/kernel softmax_lane does not compile/),
    expect.stringMatching(/^it took the device with it \(/),
    'ok',
  ]);
  expect(left.adapter.masked).toEqual(['matmul few', 'rows lane']);
});

it('refuses an adapter where a mask would not hide', async () => {
  const broken = (code: string) => code.replace('exp2(value)', 'exp2(max(value, -20.0))');
  const gpu = await faulty(broken);
  await expect(check(gpu, 'exp2')).rejects.toThrow(
    /computes wrongly \(exp2\): exp2\(-1e\+30\) is 9\.5\S+e-7 and not 0/,
  );
  // What an earlier run found is refused, too, and who says so goes on.
  await expect(checkAdapter(await healthy())).rejects.toThrow(/computes wrongly \(exp2\)/);
  expect((await checkAdapter(await healthy(), { choice: 'never' })).findings).toEqual([]);
});

const tensors = tinyTensors();
const tinyParameters = (gpu: Gpu, wanted: (name: string) => boolean, type?: 'float16') =>
  loadParameters(
    gpu,
    {
      names: () => [...tensors.keys()],
      shape: (name: string) => tensors.get(name)!.shape,
      read: (name: string) => Promise.resolve(tensors.get(name)!.data),
    } as unknown as WeightValues,
    wanted,
    type,
  );

/** The features of two images. */
async function features(gpu: Gpu): Promise<Float32Array> {
  const parameters = await tinyParameters(gpu, (name) => name.startsWith('visual.'));
  const tower = new VisionTransformer(tinyConfig.vision, parameters);
  const words = (tinyConfig.vision.imageSize ** 2 * 3) / 4;
  const values = Uint32Array.from({ length: 2 * words }, (_, i) => Math.imul(i + 1, 0x9e3779b1));
  const pixels = Tensor.from(gpu, values, [2, words]);
  return scope(() => tower.features(tower.patchesFromBytes(pixels))).read();
}

async function softmaxOfFour(gpu: Gpu): Promise<number[]> {
  const [x, y] = [gpu.pool.allocate(16), gpu.pool.allocate(16)];
  gpu.write(x, new Float32Array(4));
  softmax.run(gpu, { buffers: [x, y], constants: { LOG: 0 } }, { rows: 1, width: 4 });
  return [...new Float32Array(await gpu.read(y, 16))];
}

it('subgroups that exchange something else are not used, and features stay the same', async () => {
  const gpu = await faulty((code) => code.replaceAll(/subgroupAdd\(/g, '(1.5 * '));
  expect(gpu.has('subgroups')).toBe(true);
  expect(await softmaxOfFour(gpu)).not.toEqual(Array(4).fill(0.25));
  const { findings } = await check(gpu, 'subgroups');
  expect(findings[0]!.wrong).toMatch(/^a sum gives lane 0 of a subgroup of \d+/);
  expect(gpu.has('subgroups') || gpu.has('subgroup-size-control')).toBe(false);
  expect(gpu.adapter).toMatchObject({ subgroupMax: 0, masked: ['subgroups'] });
  expect(await softmaxOfFour(gpu)).toEqual(Array(4).fill(0.25));
  expect(maxError(await features(gpu), await features(await sharedGpu()))).toBeLessThan(1e-5);
});

it('halves that are read wrongly are stored as float32, of the same values', async () => {
  const gpu = await faulty((code) => code.replace('unpack2x16float(word)', 'unpack2x16float(word).yx'));
  const [name, linear] = ['token_embedding.weight', 'transformer.resblocks.0.mlp.c_fc.weight'];
  const load = () => tinyParameters(gpu, (one) => one === name || one === linear, 'float16');
  const before = await load();
  await check(gpu, 'halves');
  expect(gpu.adapter.masked).toEqual(['halves']);
  const after = await load();
  expect([before.get(name).type, after.get(name).type, after.weight(linear).type]).toEqual([
    'f16',
    'f32',
    'f32',
  ]);
  const rounded = Array.from(new Uint16Array(await before.get(name).readRaw()), halfToFloat);
  expect([...(await after.get(name).read())]).toEqual(rounded.slice(0, after.get(name).size));
});

it('shuffles and texels that are wrong are found', async () => {
  const shuffled = await faulty((code) => code.replace('subgroupShuffleXor(place, 2u)', 'place'));
  const texels = await faulty((code) =>
    code.replace('textureLoad(texture, id.xy)', 'textureLoad(texture, id.yx)'),
  );
  const faults = [
    ...(await check(shuffled, 'subgroups')).findings,
    ...(await check(texels, 'texture reads')).findings,
  ];
  expect(faults.map(({ wrong }) => wrong)).toEqual([
    expect.stringMatching(/^a shuffle by 2 gives lane 0/),
    expect.stringMatching(/^number \d+ of 576 is /),
  ]);
  expect(texels.adapter.readsTextures).toBe(false);
});

it('the library opens an adapter with what is known of it', async () => {
  const wrong = await faulty((code) => code.replace('subgroupShuffleXor(place, 2u)', 'place'));
  await check(wrong, 'subgroups');
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const gpu = await openChecked();
    held.push(gpu);
    expect(gpu.has('subgroups')).toBe(false);
    expect(warned.mock.calls.flat()).toEqual([expect.stringMatching(/^self-check subgroups: a shuffle/)]);
    held.push(await openChecked({ selfCheck: 'never' }));
    expect(held.at(-1)!.has('subgroups')).toBe(true);
  } finally {
    warned.mockRestore();
  }
});
