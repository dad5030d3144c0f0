import { readdirSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { toHalf } from '../src/autograd/cast.ts';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import type { Op } from '../src/autograd/op.ts';
import * as arithmetic from '../src/autograd/ops/arithmetic.ts';
import { attention, attentionFrom } from '../src/autograd/ops/attention.ts';
import { dropout } from '../src/autograd/ops/dropout.ts';
import { gatherRows } from '../src/autograd/ops/embedding.ts';
import { joinRepeated } from '../src/autograd/ops/join-repeated.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { crossEntropy, mseLoss } from '../src/autograd/ops/losses.ts';
import { matmul } from '../src/autograd/ops/matmul.ts';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { mean, sum } from '../src/autograd/ops/reduce.ts';
import { rmsNorm } from '../src/autograd/ops/rms-norm.ts';
import {
  fidelityLoss,
  gradedResponseLoss,
  normInNormLoss,
  plccLoss,
} from '../src/autograd/ops/row-losses.ts';
import { concat, expand, permute, reshape, slice } from '../src/autograd/ops/shape.ts';
import { logSoftmax, softmax } from '../src/autograd/ops/softmax.ts';
import * as activations from '../src/autograd/ops/unary.ts';
import { scope } from '../src/autograd/scope.ts';
import { apply, valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { trace } from '../src/autograd/trace.ts';
import { UserError } from '../src/common/errors.ts';
import { elementCount } from '../src/common/shape.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const floats = (...shape: number[]) => Tensor.from(gpu, new Float32Array(elementCount(shape)).fill(1), shape);
const words = (count: number) => Tensor.from(gpu, new Uint32Array(count));

/** What trace prints of `f`. */
function linesOf(f: () => unknown): string[] {
  const lines: string[] = [];
  scope(() => void trace(gpu, f, (line) => lines.push(line)));
  return lines;
}

const unary = Object.fromEntries(
  Object.entries(activations).map(([name, op]) => [name, () => op(floats(3))]),
);
const { relu } = activations;
const { add, divide, multiply, scale, subtract } = arithmetic;
const binary = Object.fromEntries(
  Object.entries({ add, divide, multiply, subtract }).map(([name, op]) => [
    name,
    () => op(floats(3), floats(3)),
  ]),
);

/** A call of every op, by the name under which the library exports it. */
const calls: Record<string, () => Tensor> = {
  ...unary,
  ...binary,
  attention: () => attention(floats(1, 4, 24), { heads: 2 }),
  attentionFrom: () => attentionFrom(floats(1, 1, 8), floats(1, 4, 16), { heads: 2 }),
  concat: () => concat([floats(3), floats(2)], 0),
  crossEntropy: () => crossEntropy(floats(2, 3), words(2)),
  dropout: () => dropout(floats(3), 0.5, { seed: words(2), stream: 1 }),
  expand: () => expand(floats(3), 2),
  fidelityLoss: () => fidelityLoss(floats(3), floats(3)),
  gatherRows: () => gatherRows(floats(2, 3), words(2)),
  gradedResponseLoss: () => gradedResponseLoss(floats(2, 3), words(2)),
  joinRepeated: () => joinRepeated(floats(2, 4), floats(8)),
  l2Normalize: () => l2Normalize(floats(2, 3)),
  layerNorm: () => layerNorm(floats(2, 3), null, null),
  linear: () => linear(floats(2, 3), floats(4, 3), null),
  logSoftmax: () => logSoftmax(floats(2, 3)),
  matmul: () => matmul(floats(2, 3), floats(3, 2)),
  mean: () => mean(floats(3)),
  mseLoss: () => mseLoss(floats(3), floats(3)),
  normInNormLoss: () => normInNormLoss(floats(3), floats(3)),
  permute: () => permute(floats(2, 3), [1, 0]),
  plccLoss: () => plccLoss(floats(3), floats(3)),
  reshape: () => reshape(floats(2, 3), [6]),
  rmsNorm: () => rmsNorm(floats(2, 3), floats(3)),
  scale: () => scale(floats(3), 2),
  slice: () => slice(floats(3), 0, 1, 2),
  softmax: () => softmax(floats(2, 3)),
  sum: () => sum(floats(3)),
};

describe('the name of an op', () => {
  it.each(Object.entries(calls))('is that of the function one calls: %s', (name, call) => {
    expect(linesOf(call).map((line) => line.split('(')[0])).toEqual([name]);
  });

  it('is looked at for every function of src/autograd/ops', async () => {
    const folder = new URL('../src/autograd/ops/', import.meta.url);
    const modules = readdirSync(folder).map((file) => import(new URL(file, folder).href));
    const names = (await Promise.all(modules)).flatMap((module) => Object.keys(module));
    // Not differentiable, or made of other ops.
    const others = [
      'maxAll',
      'patchesFromBytes',
      'patchesFromImages',
      'runRows',
      'sumOfSquares',
      'transpose',
    ];
    const ops = names.filter((name) => !others.includes(name)).sort();
    expect(Object.keys(calls).sort(), 'the table of calls, above').toEqual(ops);
  });
});

describe('trace', () => {
  it('prints ops and gradients with their shapes and dispatches', () => {
    const [x, w, b] = [floats(5, 8), floats(12, 8), floats(12)];
    const lines = linesOf(() => valueAndGradients(() => sum(linear(x, w, b)), [w, b]));
    // Which kernels a shape gets is not the concern of this test.
    expect(lines.map((line) => line.replace(/\w+ \d+x\d+x\d+/g, 'KERNEL'))).toEqual([
      'linear([5, 8], [12, 8], [12], null) → [5, 12]  KERNEL',
      'sum([5, 12]) → [1]  KERNEL',
      'gradient of sum([5, 12]) → [5, 12]  KERNEL  KERNEL  KERNEL',
      'gradient of linear([5, 8], [12, 8], [12], null) → null, [12, 8], [12], null  KERNEL  KERNEL',
    ]);
    // The gradient to begin with, 1, is written as it is read.
    expect(lines[2]).toMatch(/ {2}fill 1x1x1 {2}/);
  });

  it('prints replayed dispatches, and nothing once it is over', () => {
    const x = floats(3);
    const { recording } = gpu.capture(() => scope(() => void add(x, x)));
    const lines = linesOf(() => recording.replay());
    expect(lines).toEqual(['binary 1x1x1']);
    recording.replay();
    scope(() => add(x, x));
    expect(lines.length).toBe(1);
    expect(gpu.tracer).toBeUndefined();
    recording.dispose();
  });

  it('gives what its function gives, and may stand within another', () => {
    const inner: string[] = [];
    const lines = linesOf(() => {
      const y = trace(
        gpu,
        () => relu(floats(3)),
        (line) => inner.push(line),
      );
      expect(y.shape).toEqual([3]);
      return scale(y, 2);
    });
    expect([inner, lines].map(([line]) => line?.split(' ')[0])).toEqual(['relu([3])', 'scale([3])']);
  });

  it('prints to the console', () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    scope(() => trace(gpu, () => concat([toHalf(floats(4)), toHalf(floats(2))], 0)));
    expect(log.mock.calls.map(([line]) => line)).toContainEqual(
      expect.stringMatching(/^concat\(f16 \[4\], f16 \[2\]\) → f16 \[6\] {2}/),
    );
    log.mockRestore();
  });
});

/** x, with mistakes in it. */
function failing(where: 'forward' | 'gradient', error: Error) {
  const op: Op<{ inputs: [x: Tensor, w: Tensor | null] }> = {
    name: 'failing',
    forward([x]) {
      if (where === 'forward') throw error;
      return x.view();
    },
    gradient() {
      throw error;
    },
  };
  return (x: Tensor) => apply(op, [x, null]);
}

describe('an error', () => {
  it('in an op names it and its inputs, and stays what it is', () => {
    const error = new UserError('no room', 'Use less.');
    const { liveBuffers } = gpu.pool.statistics;
    expect(() => scope(() => failing('forward', error)(floats(2, 3)))).toThrow(error);
    expect([error.message, error.advice]).toEqual(['no room (in failing([2, 3], null))', 'Use less.']);
    expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
  });

  it('in a gradient names it too, with the op within', () => {
    const x = floats(4);
    const step = (f: (x: Tensor) => Tensor) => () => scope(() => valueAndGradients(() => sum(f(x)), [x]));
    expect(step(failing('gradient', new Error('lost the thread')))).toThrow(
      /^lost the thread \(in gradient of failing\(\[4\], null\)\)$/,
    );
    const op: Op<{ inputs: [x: Tensor] }> = {
      name: 'outer',
      forward: ([y]) => y.view(),
      gradient: (dy) => [failing('forward', new Error('deep'))(dy)],
    };
    expect(step((y) => apply(op, [y]))).toThrow(
      /^deep \(in failing\(\[4\], null\)\) \(in gradient of outer\(\[4\]\)\)$/,
    );
  });

  it('that ended the device is told to all alike', async () => {
    const other = await openGpu();
    const x = Tensor.from(other, [1, 2, 3]);
    other.close();
    const { ended } = other;
    const op: Op<{ inputs: [x: Tensor] }> = {
      name: 'flushing',
      forward([y]) {
        y.gpu.flush();
        return y.view();
      },
      gradient: (dy) => [dy],
    };
    const message = ended?.message;
    expect(() => apply(op, [x])).toThrow(ended);
    expect(ended?.message).toBe(message);
  });

  it('of gradcheck names the op', async () => {
    const wrong: Op<{ inputs: [x: Tensor] }> = {
      name: 'wrong',
      forward: ([x]) => scale(x, 2),
      gradient: (dy) => [scale(dy, 1.9)],
    };
    await expect(gradcheck((x) => relu(apply(wrong, [x])), [floats(2, 3)])).rejects.toThrow(
      /^gradcheck of wrong\(\[2, 3\]\), scale\(\[2, 3\]\), relu\(\[2, 3\]\): input 0, element \d: gradient /,
    );
  });
});
