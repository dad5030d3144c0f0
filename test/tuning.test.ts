import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import {
  choose,
  clearTuning,
  type Family,
  pendingShapes,
  sourceVersion,
  type Trial,
  tune,
  tuned,
} from '../src/kernels/device/tuning.ts';
import { binary, fill } from '../src/kernels/elementwise.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { cacheFolder } from './cache-folder.ts';

const size = 4096;
const family: Family = { name: 'double', version: '1' };

/** Three ways to compute x + x: plainly, with work wasted first, and wrongly. */
const trial = (gpu: Gpu): Trial => ({
  inputs: [{ elements: size, type: 'f32' }],
  output: size,
  reference: 'slow',
  tolerance: 1e-6,
  run(variant, [x], out) {
    if (variant === 'slow') for (let i = 0; i < 400; i++) fill(gpu, out, size, i);
    binary(gpu, variant === 'wrong' ? 'multiply' : 'add', x!, x!, out, size);
  },
});

describe('the tuner', () => {
  const folder = cacheFolder('tuning-');
  const opened: Gpu[] = [];
  const open = async () => {
    const gpu = await openGpu();
    opened.push(gpu);
    return gpu;
  };
  const pick = (gpu: Gpu, of: Family = family, variants = ['slow', 'wrong', 'fast']) =>
    choose(gpu, of, '4096', variants, 'slow', () => trial(gpu));
  const files = () => readdirSync(join(folder, 'clip-agiqa-webgpu', 'tuning'));

  afterAll(() => {
    for (const gpu of opened) gpu.close();
  });

  it('takes the fastest right variant, stores it, and forgets it on demand', async () => {
    const gpu = await open();
    expect(pick(gpu)).toBe('slow');
    expect(pick(gpu)).toBe('slow');
    expect(pendingShapes(gpu)).toBe(1);
    const live = gpu.pool.statistics.liveBuffers;
    await tune(gpu);
    expect(gpu.pool.statistics.liveBuffers).toBe(live);
    expect(pendingShapes(gpu)).toBe(0);
    expect(pick(gpu)).toBe('fast');
    expect(Object.keys([...tuned(gpu).values()][0]!.times).sort()).toEqual(['fast', 'slow']);

    // Another process on this adapter reads it; a launcher that has lost the variant, or changed, does not.
    const other = await open();
    expect(pick(other)).toBe('fast');
    expect(pick(other, family, ['slow', 'wrong'])).toBe('slow');
    expect(pick(other, { ...family, version: '2' })).toBe('slow');

    await clearTuning(gpu);
    expect(pick(gpu)).toBe('slow');
    expect(pick(await open())).toBe('slow');
  });

  it('takes the fastest of the others where the reference is not among the variants', async () => {
    const gpu = await open();
    const others = () => pick(gpu, { name: 'others', version: '1' }, ['wrong', 'fast']);
    expect(others()).toBe('slow');
    await tune(gpu);
    expect(others()).toBe('fast');
    expect(pendingShapes(gpu)).toBe(0);
  });

  it('leaves to the rule what cannot be tried, and what there is no time for', async () => {
    const gpu = await open();
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const impossible: Trial = {
      ...trial(gpu),
      run() {
        throw new Error('too large');
      },
    };
    const one = { name: 'impossible', version: '1' };
    const choice = () => choose(gpu, one, '1', ['slow', 'fast'], 'fast', () => impossible);
    expect(choice()).toBe('fast');
    await tune(gpu, { until: performance.now() - 1 });
    expect(pendingShapes(gpu)).toBe(1);
    await tune(gpu);
    warned.mockRestore();
    expect([pendingShapes(gpu), choice(), tuned(gpu).get('impossible/1/1')?.rule]).toEqual([
      0,
      'fast',
      'fast',
    ]);
  });

  it('ignores a file of another adapter and a damaged one', async () => {
    const gpu = await open();
    pick(gpu);
    await tune(gpu);
    const path = join(folder, 'clip-agiqa-webgpu', 'tuning', files()[0]!);
    const written = readFileSync(path, 'utf8');
    expect(pick(await open())).toBe('fast');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(written), adapter: 'another driver' }));
    expect(pick(await open())).toBe('slow');
    writeFileSync(path, written.slice(0, 40));
    expect(pick(await open())).toBe('slow');
  });

  it('costs a line where the table cannot be written, not the run', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    process.env.XDG_CACHE_HOME = join(file, 'cache');
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    try {
      const gpu = await open();
      pick(gpu);
      await tune(gpu);
      expect(pick(gpu)).toBe('fast');
      await clearTuning(gpu);
      const [wrong, ...lines] = warned.mock.calls.flat();
      expect(wrong).toMatch(/ variant wrong is left out: gives another result than the reference$/);
      expect(lines).toEqual(
        Array(2).fill(
          expect.stringMatching(/^tuning {5}.*a-file is a file.*the next run will measure again$/),
        ),
      );
    } finally {
      warned.mockRestore();
      process.env.XDG_CACHE_HOME = folder;
    }
  });

  it('notes nothing where there is no choice', async () => {
    const gpu = await open();
    expect(choose(gpu, { name: 'single', version: '1' }, 'x', ['only'], 'only', () => trial(gpu))).toBe(
      'only',
    );
    expect(pendingShapes(gpu)).toBe(0);
  });

  it('names versions after the shaders', () => {
    expect(sourceVersion('a')).toBe('e40c292c'); // FNV-1a's published value for "a"
    expect(sourceVersion('ab')).toBe(sourceVersion('a', 'b'));
    expect(sourceVersion('ab')).not.toBe(sourceVersion('ba'));
  });
});
