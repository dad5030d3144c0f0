import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { softmax } from '../src/kernels/rows/softmax.ts';
import { unary } from '../src/kernels/unary.ts';
import { byRows, softmaxRow } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { workspace } from './reference/workspace.ts';

// Shaders may be compiled as if there were no infinities (WGSL's floating point evaluation; Metal's fast math), so that 0 · inf or
// exp2(-inf) may give anything. What the kernels compute therefore stays finite.
describe('arithmetic on a GPU stays finite', () => {
  it('has no constant that overflows when it is scaled', () => {
    const numbers = readdirSync('shaders').flatMap(
      (file) =>
        readFileSync(`shaders/${file}`, 'utf8')
          .replace(/\/\/.*$/gm, '')
          .match(/\d(?:\.\d*)?e\d+/g)
          ?.map((text) => ({ file, text })) ?? [],
    );
    expect(numbers.length).toBeGreaterThan(3);
    expect(numbers.filter(({ text }) => Number(text) * Math.LOG2E > 3.4e38)).toEqual([]);
  });

  it('of the softmax of rows shorter than the lanes that share them', async () => {
    const gpu = await sharedGpu();
    for (const width of [1, 2, 3, 5, 31, 63, 64, 65, 130, 255, 257, 300])
      for (const variant of applicableRowVariants(gpu)) {
        const { upload, empty, download, release } = workspace(gpu);
        const x = randoms(3 * width, width).map((value) => 80 * value);
        const y = empty(3 * width);
        withRowVariant(variant, () =>
          softmax.run(gpu, { buffers: [upload(x), y], constants: { LOG: 0 } }, { rows: 3, width }),
        );
        const got = await download(y, 3 * width);
        const expected = byRows(x, width, softmaxRow);
        for (const [i, value] of got.entries())
          expect(Math.abs(value - expected[i]!), `${variant} ${width} ${i}`).toBeLessThan(1e-6);
        release();
      }
  });

  it('of activations far from zero', async () => {
    const gpu = await sharedGpu();
    const { upload, empty, download, release } = workspace(gpu);
    const x = Float32Array.of(-1e4, -200, -89, -88.5, -52, -47, 47, 52, 88.5, 200, 1e4);
    for (const kind of ['quick_gelu', 'gelu', 'tanh'] as const) {
      const out = empty(x.length);
      unary(gpu, kind, upload(x), out, x.length);
      const expected = [...x].map((value) => (kind === 'tanh' ? Math.sign(value) : Math.max(value, 0)));
      const got = [...(await download(out, x.length))];
      for (const [i, value] of got.entries())
        expect(Math.abs(value - expected[i]!), `${kind} ${x[i]}`).toBeLessThan(1e-30);
    }
    release();
  });
});
