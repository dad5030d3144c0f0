import { afterEach, describe, expect, it } from 'vitest';
import { keepsFeature, parseProfile } from '../src/kernels/device/adapter-profile.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { numericsId } from '../src/kernels/device/numerics.ts';
import { packsIntoTexture } from '../src/kernels/matmul/packed-weight.ts';
import { listedNames, pickAdapter } from '../src/kernels/node/adapter-choice.ts';
import { dawnFlags, openDevice, openGpu } from '../src/kernels/node/open-gpu.ts';

describe('the choice of an adapter', () => {
  const message = `no suitable backends found
Available adapters:
 * backend: 'vulkan', name: 'NVIDIA H200'
 * backend: 'vulkan', name: 'NVIDIA GeForce RTX 4090 D'
 * backend: 'vulkan', name: 'NVIDIA GeForce RTX 4090'
 * backend: 'vulkan', name: 'NVIDIA H200'
 * backend: 'vulkan', name: 'llvmpipe (LLVM 15.0.6, 256 bits)'`;
  const names = listedNames(new Error(message));

  it('reads the names in the order of the list', () => {
    expect(names).toHaveLength(5);
    expect(names[4]).toBe('llvmpipe (LLVM 15.0.6, 256 bits)');
    expect(listedNames(new Error('no adapter'))).toEqual([]);
  });

  it('takes a number, a name, part of one, and a number that is part of one', () => {
    expect(pickAdapter('0', names)).toBe('NVIDIA H200');
    expect(pickAdapter('4', names)).toBe('llvmpipe (LLVM 15.0.6, 256 bits)');
    expect(pickAdapter('LLVMPIPE', names)).toBe('llvmpipe (LLVM 15.0.6, 256 bits)');
    expect(pickAdapter('h200', names)).toBe('NVIDIA H200');
    expect(pickAdapter('4090', names)).toBe('NVIDIA GeForce RTX 4090 D');
  });

  it('says what there is where there is none', () => {
    expect(() => pickAdapter('radeon', names)).toThrow('there is no adapter radeon');
    expect(() => pickAdapter('5', names.slice(0, 1))).toThrow(
      expect.objectContaining({ advice: expect.stringContaining('There are: 0 NVIDIA H200. ') }),
    );
    expect(() => pickAdapter('0', [])).toThrow(
      expect.objectContaining({ advice: expect.stringContaining('npm run setup') }),
    );
  });

  it('refuses one whose name Dawn would take for another', () => {
    expect(() => pickAdapter('3', names)).toThrow(
      /^adapter 3 \(NVIDIA H200\) cannot be told from adapter 0 \(NVIDIA H200\) by its name$/,
    );
    expect(() => pickAdapter('2', names)).toThrow(/from adapter 1 \(NVIDIA GeForce RTX 4090 D\)/);
  });

  it('reaches the adapter by its number and its name', async () => {
    const { name } = await openedAs({});
    expect((await openedAs({ adapter: '0' })).name).toBeDefined();
    const part = name.split('-')[0]!;
    expect((await openedAs({ adapter: part })).name).toBe(name);
    await expect(openDevice({ adapter: 'no such adapter' })).rejects.toThrow(
      'there is no adapter no such adapter',
    );
    process.env.CLIP_AGIQA_ADAPTER = 'none of these';
    await expect(openDevice()).rejects.toThrow('there is no adapter none of these');
    // What computes nothing needs none.
    expect((await openedAs({ backend: 'null' })).name).toBeDefined();
  });
});

describe('an adapter profile', () => {
  it('is read in any order, and refused where a word is unknown', () => {
    expect(parseProfile('no-f16, gpu,gpu')).toEqual(['gpu', 'no-f16']);
    expect(parseProfile('')).toEqual([]);
    expect(() => parseProfile('gpu,no-f17')).toThrow(/^no-f17 is not part of an adapter profile$/);
    expect(keepsFeature(['no-subgroups'], 'subgroup-size-control')).toBe(false);
    expect(keepsFeature(['gpu'], 'subgroups')).toBe(true);
  });

  it('takes the path of a GPU', async () => {
    const gpu = await opened({ profile: ['gpu'] });
    expect(gpu.adapter).toMatchObject({ software: false, profile: 'gpu' });
    expect(packsIntoTexture(gpu, 64, 128)).toBe(false);
  });

  it('leaves features out', async () => {
    process.env.CLIP_AGIQA_ADAPTER_PROFILE = 'no-subgroups,no-timestamps,no-texture-reads';
    const gpu = await opened({ features: ['shader-f16'] });
    expect(gpu.has('subgroups') || gpu.has('subgroup-size-control') || gpu.has('timestamp-query')).toBe(
      false,
    );
    expect(gpu.adapter).toMatchObject({ subgroupMin: 0, subgroupMax: 0, readsTextures: false });
    const masked = await opened({ features: ['shader-f16'], profile: ['no-f16'] });
    expect(masked.has('shader-f16')).toBe(false);
    await expect(gpu.profile(() => {})).rejects.toThrow('no timestamp queries');
  });

  it('asks for no more than every WebGPU has', async () => {
    const { device } = await opened({ profile: ['default-limits'] });
    expect(device.limits).toMatchObject({
      maxStorageBufferBindingSize: 128 * 2 ** 20,
      maxComputeWorkgroupStorageSize: 16384,
      maxComputeInvocationsPerWorkgroup: 256,
      maxStorageBuffersPerShaderStage: 8,
    });
  });

  it('has a name of its own for the bits it gives', async () => {
    const plain = await opened({});
    const other = await opened({ profile: ['gpu', 'default-limits'] });
    expect(numericsId(plain)).not.toContain('gpu');
    expect(numericsId(other)).toContain('"gpu,default-limits"');
  });
});

it('lifts what Dawn keeps from a driver only for who asks', () => {
  const enabled = (options: Parameters<typeof dawnFlags>[0]) => dawnFlags(options).join();
  expect(enabled({})).not.toContain('f16');
  expect(enabled({ features: ['shader-f16'] })).toContain('vulkan_enable_f16_on_nvidia');
  expect(enabled({ fast: false })).not.toContain('enable-dawn-features');
});

const held: Gpu[] = [];

afterEach(() => {
  for (const gpu of held.splice(0)) gpu.close();
  delete process.env.CLIP_AGIQA_ADAPTER;
  delete process.env.CLIP_AGIQA_ADAPTER_PROFILE;
});

async function opened(options: Parameters<typeof openGpu>[0]): Promise<Gpu> {
  const gpu = await openGpu(options);
  held.push(gpu);
  return gpu;
}

const openedAs = async (options: Parameters<typeof openGpu>[0]) => (await opened(options)).adapter;
