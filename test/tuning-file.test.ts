import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { ClipEncoder } from '../src/features/clip-encoder.ts';
import { adapterKey } from '../src/kernels/device/adapter-store.ts';
import { exportTuning, pendingShapes, tune, tuned } from '../src/kernels/device/tuning.ts';
import { matmul } from '../src/kernels/matmul/index.ts';
import { fileStore, tuningVariable } from '../src/kernels/node/file-store.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { runBuilt } from './built-command.ts';
import { cacheFolder } from './cache-folder.ts';

const folder = cacheFolder('tuning-file-');
afterEach(() => {
  delete process.env[tuningVariable];
  vi.restoreAllMocks();
});

const warnings = () => {
  const lines: string[] = [];
  vi.spyOn(console, 'warn').mockImplementation((line: string) => void lines.push(line));
  return lines;
};

it('a named file of another adapter, or of something else, is neither used nor replaced, and a line says so', async () => {
  const gpu = await openGpu();
  const path = join(folder, 'named.json');
  process.env[tuningVariable] = path;
  const lines = warnings();
  // Made where it is not there, and used.
  expect(fileStore.read('tuning', gpu.adapter)).toBeUndefined();
  const own = exportTuning(gpu);
  await fileStore.write('tuning', gpu.adapter, own);
  expect(fileStore.read('tuning', gpu.adapter)).toBe(own);
  expect(JSON.parse(own).adapter).toBe(adapterKey(gpu.adapter));
  expect(lines).toEqual([]);
  for (const text of [own.replace('"adapter": "', '"adapter": "other '), 'my notes', 'null', '']) {
    writeFileSync(path, text);
    lines.length = 0;
    expect(fileStore.read('tuning', gpu.adapter)).toBeUndefined();
    await fileStore.write('tuning', gpu.adapter, own);
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`${path} is no table of this adapter and driver`);
  }
  gpu.close();
});

it('what a device without results measures is not kept', async () => {
  const path = join(folder, 'null.json');
  process.env[tuningVariable] = path;
  const gpu = await openGpu({ backend: 'null' });
  const [a, b, out] = [64 * 512, 512 * 512, 64 * 512].map((elements) => gpu.pool.allocate(4 * elements));
  matmul(gpu, { a: a!, b: b!, out: out!, m: 64, n: 512, k: 512 });
  warnings();
  await tune(gpu, { rounds: 1 });
  gpu.close();
  expect(existsSync(path)).toBe(false);
});

it('a command that measures nothing says that the named file was not made', () => {
  const run = (...more: string[]) =>
    runBuilt('adapter', ['--brief', '--tuning', join(folder, 'none.json'), ...more], {
      env: { ...process.env, XDG_CACHE_HOME: folder },
    });
  const { status, stderr } = run('--quiet');
  expect(status).toBe(0);
  expect(stderr).toContain('none.json was not made: nothing was measured');
  writeFileSync(join(folder, 'none.json'), '{}');
  expect(run().stderr).not.toContain('was not made');
});

it('the shapes of texts are measured before a feature of one is kept', async () => {
  warnings();
  const gpu = await openGpu({ backend: 'null' });
  const clip = await ClipEncoder.load(gpu, 'embedded', { vision: false });
  await clip.encodeTexts(['a photo', Array(20).fill('long').join(' ')]);
  expect(tuned(gpu).size).toBeGreaterThan(3);
  expect(pendingShapes(gpu)).toBe(0);
  await clip.close();
  gpu.close();
});
