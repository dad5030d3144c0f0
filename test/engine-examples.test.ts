import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { maxError } from '../src/common/compare.ts';
import { gradcheck, Tensor } from '../src/index.ts';
import { softsign } from './examples/softsign.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('the code of docs/engine.md is that of the examples, with imports as users write them, and all of it', () => {
  const blocks = [...read('../docs/engine.md').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  expect(blocks).toEqual(
    ['mlp', 'transformer', 'softsign'].map((name) =>
      read(`./examples/${name}.ts`).replace("'../../src/index.ts'", "'clip-agiqa-webgpu'"),
    ),
  );
});

it('an op and a kernel of one’s own', async () => {
  const gpu = await sharedGpu();
  const values = randoms(197, 1, 3);
  const x = Tensor.from(gpu, values);
  const expected = values.map((v) => v / (1 + Math.abs(v)));
  expect(maxError(await softsign(x).read(), expected)).toBeLessThan(1e-6);
  // Away from 0, where the derivative has a kink.
  const away = Tensor.from(
    gpu,
    values.slice(0, 20).map((v) => v + Math.sign(v)),
  );
  await gradcheck((a) => softsign(a), [away]);
});
