import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { weightsPath } from '../src/model/weights/embedded.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'portable-'));
afterAll(() => rmSync(folder, { recursive: true }));
const out = join(folder, 'portable');

const pack = () =>
  spawnSync(process.execPath, ['scripts/pack-portable.mjs', '--out', out, '--no-archive'], {
    encoding: 'utf8',
  });

// The launcher is a shell script, and a namespace without network is Linux's.
describe.runIf(process.platform === 'linux')('the portable folder', () => {
  it('is made whole, holds nothing of development, and replaces nothing', () => {
    const made = pack();
    expect(made.stderr).toBe('');
    expect(made.status).toBe(0);
    const names = readdirSync(join(out, 'node_modules'));
    for (const name of ['webgpu', 'sharp', 'commander']) expect(names).toContain(name);
    for (const name of ['vitest', 'typescript', '@typescript', 'echarts', 'onnxruntime-web'])
      expect(names).not.toContain(name);
    expect(readdirSync(join(out, 'node_modules', 'webgpu', 'dist'))).toEqual([`linux-${process.arch}`]);
    expect(readdirSync(folder)).toEqual(['portable']);
    // What the GPU kit runs, and what it compares with.
    for (const path of ['gpu-kit', 'dist/kit.js', 'dist/bench.js', 'reference/vitb16/weights.json'])
      expect(existsSync(join(out, path)), path).toBe(true);
    const before = statSync(join(out, 'bin', 'node')).mtimeMs;
    const again = pack();
    expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/portable exists: remove it/)]);
    expect(statSync(join(out, 'bin', 'node')).mtimeMs).toBe(before);
  });

  it('scores by its own Node, without network and without anything from the environment', async () => {
    const [image] = await drawImages(join(folder, 'images'), 1);
    const model = await writeModel(join(folder, 'model.safetensors'), 'embedded');
    expect(existsSync(weightsPath('embedded'))).toBe(true);
    const command = [resolve(out, 'clip-agiqa-webgpu'), 'score', image!, '--model', model, '--csv', '-'];
    // Where a container forbids namespaces, the network stays, and the rest is tried all the same.
    const apart = spawnSync('unshare', ['-rn', 'true']).status === 0 ? ['unshare', '-rn'] : [];
    const [program, ...args] = [...apart, ...command];
    const { status, stdout } = spawnSync(program!, args, {
      cwd: folder,
      env: {
        PATH: '/usr/bin:/bin',
        ...(process.env.VK_ICD_FILENAMES ? { VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES } : {}),
      },
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/000\.png,-?\d/);
  });
});
