import { afterEach, describe, expect, it, vi } from 'vitest';
import { create } from 'webgpu';
import { openGpu, scale, Tensor, textStore } from '../src/browser.ts';
import { exportTuning, fixVariants, tuned } from '../src/kernels/device/tuning.ts';
import { dawnFlags } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';

/** As a page sees it: `navigator.gpu`, here Dawn's. */
async function inPage(gpu: GPU | undefined, secure = true): Promise<void> {
  await sharedGpu(); // brings WebGPU's classes
  vi.stubGlobal('navigator', { gpu });
  vi.stubGlobal('isSecureContext', secure);
}

afterEach(() => vi.unstubAllGlobals());

describe('the engine in a page', () => {
  it('computes on what navigator.gpu gives, and keeps what it measured in the storage', async () => {
    await inPage(create(dawnFlags({})));
    const kept = new Map<string, string>();
    const store = textStore({
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => void kept.set(key, text),
    });
    const gpu = await openGpu({ store });
    expect([...(await scale(Tensor.from(gpu, [1, 2, 3]), 2).read())]).toEqual([2, 4, 6]);
    fixVariants(gpu, { 'matmul/1/8': 'tile' });
    await gpu.store!.write('tuning', gpu.adapter, exportTuning(gpu));
    const again = await openGpu({ store });
    expect(tuned(again).get('matmul/1/8')?.variant).toBe('tile');
    const forgetful = await openGpu();
    expect(tuned(forgetful).size).toBe(0);
    for (const opened of [gpu, again, forgetful]) opened.close();
  });

  it('goes on where the storage is full or forbidden', async () => {
    const forbidden = (): never => {
      throw new Error('SecurityError');
    };
    const { adapter } = await sharedGpu();
    const store = textStore({ getItem: forbidden, setItem: forbidden });
    expect(store.read('tuning', adapter)).toBeUndefined();
    await store.write('tuning', adapter, '{}');
  });

  it('says why there is none', async () => {
    await inPage(undefined);
    await expect(openGpu()).rejects.toMatchObject({
      message: 'this browser has no WebGPU',
      advice: expect.stringContaining('Chrome'),
    });
    await inPage(undefined, false);
    await expect(openGpu()).rejects.toMatchObject({ advice: expect.stringContaining('https:') });
    await inPage({ requestAdapter: async () => null } as unknown as GPU);
    await expect(openGpu()).rejects.toMatchObject({
      message: 'no WebGPU adapter was found',
      advice: expect.stringContaining('graphics driver'),
    });
  });

  it('takes an adapter that calls itself a fallback for a processor, whatever its name', async () => {
    const dawn = create(dawnFlags({}));
    const nameless = async () => {
      const adapter = (await dawn.requestAdapter())!;
      const info = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: true };
      return new Proxy(adapter, {
        get: (target, key) => {
          const value = Reflect.get(target, key, target);
          return key === 'info' ? info : typeof value === 'function' ? value.bind(target) : value;
        },
      });
    };
    await inPage({
      requestAdapter: nameless,
      wgslLanguageFeatures: dawn.wgslLanguageFeatures,
    } as unknown as GPU);
    const gpu = await openGpu();
    expect(gpu.adapter).toMatchObject({ name: 'software adapter', software: true });
    gpu.close();
  });
});
