import { expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { slice } from '../src/autograd/ops/shape.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { type Block, classTokenBlock, selectedRowsBlock, transformerBlock } from '../src/model/layers.ts';
import { poolTokens } from '../src/model/pooling.ts';
import { rowsOf, sumOf } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const width = 16;
const settings = { heads: 2, activation: 'quick_gelu', layerNormEps: 1e-5 } as const;

async function randomBlock(): Promise<Block> {
  const gpu = await sharedGpu();
  let stream = 10;
  const affine = (out: number, input: number) => ({
    weight: Tensor.from(
      gpu,
      randoms(out * input, stream++, input === 1 ? 1 : input ** -0.5),
      input === 1 ? [out] : [out, input],
    ),
    bias: Tensor.from(gpu, randoms(out, stream++, 0.1)),
  });
  return {
    ln1: affine(width, 1),
    inProj: affine(3 * width, width),
    outProj: affine(width, width),
    ln2: affine(width, 1),
    fc: affine(4 * width, width),
    proj: affine(width, 4 * width),
  };
}

it('the class-token block equals row 0 of the full block', async () => {
  const gpu = await sharedGpu();
  const block = await randomBlock();
  const x = Tensor.from(gpu, randoms(3 * 7 * width, 1), [3, 7, width]);
  const full = slice(transformerBlock(x, block, settings, { mask: 'none' }), 1, 0, 1);
  const classToken = classTokenBlock(x, block, settings);
  expect(maxError(await classToken.read(), await full.read())).toBeLessThan(1e-6);
});

it('the selected-rows block equals those rows of the full block', async () => {
  const gpu = await sharedGpu();
  const block = await randomBlock();
  const x = Tensor.from(gpu, randoms(2 * 7 * width, 2), [2, 7, width]);
  const rows = [3, 6, 13];
  const full = rowsOf(await transformerBlock(x, block, settings, { mask: 'causal' }).read(), width);
  const selected = selectedRowsBlock(x, Tensor.from(gpu, Uint32Array.from(rows)), block, settings, {
    mask: 'causal',
  });
  expect(
    maxError(
      await selected.read(),
      rows.flatMap((row) => [...full[row]!]),
    ),
  ).toBeLessThan(1e-6);
});

it('has the right gradients by the input and by every weight', async () => {
  const gpu = await sharedGpu();
  const block = await randomBlock();
  const x = Tensor.from(gpu, randoms(2 * 5 * width, 3), [2, 5, width]);
  const weights = Object.values(block).flatMap(({ weight, bias }) => [weight, bias!]);
  for (const mask of ['none', 'causal'] as const)
    await gradcheck((input) => transformerBlock(input, block, settings, { mask }), [x, ...weights], {
      tolerance: 2e-2,
    });
  await gradcheck((input) => classTokenBlock(input, block, settings), [x, ...weights], { tolerance: 2e-2 });
});

it('pools tokens', async () => {
  const gpu = await sharedGpu();
  const values = randoms(2 * 5 * width, 4);
  const x = Tensor.from(gpu, values, [2, 5, width]);
  const expected = [0, 1].flatMap((image) => {
    const tokens = rowsOf(values.slice(image * 5 * width, (image + 1) * 5 * width), width);
    const column = (c: number) => tokens.slice(1).map((token) => token[c]!);
    const means = Array.from({ length: width }, (_, c) => sumOf(column(c)) / 4);
    const stds = means.map((mean, c) => Math.sqrt(sumOf(column(c).map((v) => (v - mean) ** 2)) / 4));
    return [...tokens[0]!, ...means, ...stds];
  });
  const pooled = keep(scope(() => poolTokens(x, 'stats')));
  expect(pooled.shape).toEqual([2, 3 * width]);
  expect(maxError(await pooled.read(), expected)).toBeLessThan(1e-5);
  pooled.dispose();
});
