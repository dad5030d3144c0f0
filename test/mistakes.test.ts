import { afterAll, describe, expect, it } from 'vitest';
import { toHalf } from '../src/autograd/cast.ts';
import { add, scale } from '../src/autograd/ops/arithmetic.ts';
import { attention } from '../src/autograd/ops/attention.ts';
import { dropout } from '../src/autograd/ops/dropout.ts';
import { gatherRows } from '../src/autograd/ops/embedding.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { crossEntropy } from '../src/autograd/ops/losses.ts';
import { matmul } from '../src/autograd/ops/matmul.ts';
import { reshape, slice } from '../src/autograd/ops/shape.ts';
import { softmax } from '../src/autograd/ops/softmax.ts';
import { relu } from '../src/autograd/ops/unary.ts';
import { Sgd } from '../src/autograd/optimizers.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const before = gpu.pool.statistics;

const floats = (...shape: number[]) => Tensor.zeros(gpu, shape);
const words = (count: number) => Tensor.from(gpu, new Uint32Array(count));
/** As JavaScript lets one write it. */
const any = (value: unknown) => value as never;

const one =
  '@group(0) @binding(0) var<storage, read_write> a: array<f32>;\n@compute @workgroup_size(1) fn main() { a[0] = 1; }';
const run = (buffer: unknown) =>
  gpu.run({ name: 'one', source: one }, { buffers: [any(buffer)], groups: [1] });

const mistakes: Record<string, [make: () => unknown, says: RegExp]> = {
  'integers as values': [
    () => Tensor.from(gpu, any(new Int32Array(3))),
    /tensors are made of .* not of Int32Array/,
  ],
  'bytes as values': [() => Tensor.from(gpu, any(new Uint8Array(4))), /not of Uint8Array/],
  'rows of rows': [() => Tensor.from(gpu, any([[1], [2]])), /not of an array of non-numbers/],
  'no values': [() => Tensor.from(gpu, any(undefined)), /not of undefined/],
  'values of another type': [
    () => floats(2).write(new Uint32Array(2)),
    /a Uint32Array is u32, and tensor \d+ is f32/,
  ],
  'a shape of fractions': [() => Tensor.empty(gpu, [2.5]), /\[2.5\] is not a shape/],
  'a shape below zero': [() => Tensor.empty(gpu, [-2, 3]), /\[-2, 3\] is not a shape/],
  'an axis there is not': [() => floats(2).dim(1), /tensor \d+ \[2\] has no axis 1/],
  'shapes that do not go together': [
    () => add(floats(2, 3), floats(4)),
    /\[4\] does not broadcast to \[2, 3\]/,
  ],
  'a sum of numbers and words': [() => add(floats(3), words(3)), /^add: input 1 \[3\] is u32, expected f32$/],
  'a sum with halves': [() => add(floats(4), toHalf(floats(4))), /^add: input 1 \[4\] is f16, expected f32$/],
  'words through an activation': [() => relu(words(4)), /: input 0 \[4\] is u32, expected f32/],
  'words through softmax': [() => softmax(words(4)), /^softmax: input 0 \[4\] is u32/],
  'a bias of words': [
    () => linear(floats(2, 3), floats(4, 3), words(4)),
    /^linear: input 2 \[4\] is u32, expected f32$/,
  ],
  'a weight of words': [
    () => linear(floats(2, 3), reshape(words(12), [4, 3]), null),
    /^linear: input 1 \[4, 3\] is u32, expected f32 or f16$/,
  ],
  'a product that does not fit': [
    () => matmul(floats(2, 3), floats(2, 3)),
    /^matmul: \[2, 3\] does not fit \[2, 3\]/,
  ],
  'indices that are no words': [
    () => gatherRows(floats(4, 4), floats(2)),
    /^gatherRows: input 1 \[2\] is f32, expected u32$/,
  ],
  'a table without rows': [() => gatherRows(floats(4), words(2)), /^gatherRows: a table \[4\] has no rows/],
  'classes that are no words': [
    () => crossEntropy(floats(2, 8), floats(2)),
    /^crossEntropy: input 1 \[2\] is f32, expected u32$/,
  ],
  'classes for other rows': [
    () => crossEntropy(floats(2, 8), words(3)),
    /^crossEntropy of logits \[2, 8\] and 3 classes/,
  ],
  'a norm of another width': [
    () => layerNorm(floats(2, 8), floats(4), floats(4)),
    /^layerNorm of \[2, 8\] by \[4\]/,
  ],
  'half of an affine map': [
    () => layerNorm(floats(2, 8), floats(8), null),
    /^layerNorm takes gamma and beta, or neither/,
  ],
  'heads that do not divide': [
    () => attention(floats(1, 4, 10), { heads: 3 }),
    /^attention: qkv is \[1, 4, 10\]/,
  ],
  'a slice beyond the end': [() => slice(floats(4), 0, 2, 9), /^slice 2\.\.9 of axis 0 of \[4\]/],
  'a factor that is no number': [
    () => scale(floats(3), any('2')),
    /^kernel scale: factor is an f32, and 2 is not/,
  ],
  'a seed that is no words': [
    () => dropout(floats(4), 0.5, { seed: floats(2), stream: 1 }),
    /^dropout: the seed is a u32/,
  ],
  'no parameters': [() => new Sgd([], { lr: 0.1 }), /an optimizer needs parameters/],
  'no rate': [() => new Sgd([floats(1)], any({})), /learning rate must be a number, not undefined/],
  'a function that gives no tensor': [
    () =>
      valueAndGradients(
        any(() => 3),
        [floats(1)],
      ),
    /valueAndGradients: the function does not return a tensor/,
  ],
  'a function that waits, differentiated': [
    () =>
      valueAndGradients(
        any(async () => floats(1)),
        [floats(1)],
      ),
    /takes a synchronous function/,
  ],
  'a function that waits, captured': [
    () => gpu.capture(async () => floats(1).read()),
    /capture\(\) takes a synchronous function/,
  ],
  'a tensor that was disposed of': [
    () => {
      const gone = floats(2);
      gone.dispose();
      return add(gone, gone);
    },
    /tensor \d+ \[2\] is disposed/,
  ],
  'a tensor where a buffer goes': [
    () => run(floats(1)),
    /^kernel one: buffer 0 does not come from the buffer pool \(a tensor's buffer is tensor.buffer\)/,
  ],
  'nothing where a buffer goes': [
    () => run(undefined),
    /^kernel one: buffer 0 does not come from the buffer pool/,
  ],
};

describe('a mistake of a few lines', () => {
  it.each(Object.entries(mistakes))(
    '%s: an error that says what, and nothing left behind',
    (_, [make, says]) => {
      const { liveBuffers } = gpu.pool.statistics;
      expect(() => scope(make)).toThrow(says);
      expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
    },
  );

  afterAll(async () => {
    await gpu.finish(); // none of them is told again
    expect(gpu.pool.statistics).toMatchObject({
      liveBuffers: before.liveBuffers,
      liveBytes: before.liveBytes,
    });
  });
});

it('Float64Array and numbers are rounded to float32', async () => {
  const values = [0.1, -1e-3, 12345.678];
  for (const given of [values, Float64Array.from(values)]) {
    const tensor = Tensor.from(gpu, given);
    expect([tensor.type, await tensor.read()]).toEqual(['f32', Float32Array.from(values)]);
    tensor.dispose();
  }
});

it('tensors of two devices, and of one that was closed', async () => {
  const other = await openGpu();
  const [x, y] = [floats(1), Tensor.zeros(other, [1])];
  expect(() => add(x, y)).toThrow(/^add: inputs 0 and 1 are on different devices/);
  other.close();
  expect(() => Tensor.from(other, [1])).toThrow(/this GPU is closed: open another with openGpu\(\)/);
  await expect(loadClip(other, 'test/fixtures/tiny-clip.json')).rejects.toThrow(/this GPU is closed/);
  await expect(y.read()).rejects.toThrow(/this GPU is closed/);
  x.dispose();
  y.dispose();
  expect(other.pool.statistics).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
});

it('an asynchronous scope frees what it made before it waited, and its promise troubles nobody', async () => {
  const { liveBuffers } = gpu.pool.statistics;
  const body = async () => {
    const x = floats(1);
    await Promise.resolve();
    return (await add(x, x).read())[0]!;
  };
  expect(() => scope(body)).toThrow(/scope\(\) takes a synchronous function/);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
  keep(floats(1)).dispose();
});
