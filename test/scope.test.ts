import { describe, expect, it } from 'vitest';
import { keep, scope, track, untrack } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const tensor = () => Tensor.empty(gpu, [3]);
const live = () => gpu.pool.statistics.liveBuffers;

describe('scope', () => {
  it('frees what it made, except its result', () => {
    const before = live();
    let inner: Tensor | undefined;
    const result = scope(() => {
      inner = tensor();
      return tensor();
    });
    expect([inner!.disposed, result.disposed]).toEqual([true, false]);
    expect(live()).toBe(before + 1);
    result.dispose();
    expect(live()).toBe(before);
  });

  it('finds results in arrays, maps and plain objects', () => {
    const before = live();
    const { a, b } = scope(() => ({ a: [tensor(), 3, null], b: new Map([['x', { y: tensor() }]]) }));
    expect(live()).toBe(before + 2);
    (a[0] as Tensor).dispose();
    b.get('x')!.y.dispose();
    expect(live()).toBe(before);
  });

  it('passes results to the enclosing scope', () => {
    const before = live();
    let passed: Tensor | undefined;
    scope(() => {
      passed = scope(tensor);
      expect(passed.disposed).toBe(false);
    });
    expect(passed!.disposed).toBe(true);
    expect(live()).toBe(before);
  });

  it('frees everything when its body throws, and leaves the scopes in order', () => {
    const before = live();
    scope(() => {
      const outer = tensor();
      expect(() =>
        scope(() => {
          tensor();
          throw new Error('inside');
        }),
      ).toThrow('inside');
      expect(outer.disposed).toBe(false);
    });
    expect(live()).toBe(before);
  });

  it('leaves tensors from outside and kept ones alone', () => {
    const outside = tensor();
    const kept = scope(() => {
      const made = keep(tensor());
      untrack(outside);
      track(outside);
      untrack(outside);
      return [made].length && made.id;
    });
    expect(outside.disposed).toBe(false);
    expect(kept).toBeTypeOf('number');
    outside.dispose();
  });

  it('refuses an asynchronous body', () => {
    expect(() => scope(async () => {})).toThrow(/synchronous/);
  });
});

describe('Tensor', () => {
  it('shares its storage with views; the last one frees it', async () => {
    const before = live();
    const a = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [2, 3]);
    const b = a.view([3, 2]);
    a.dispose();
    a.dispose();
    expect(await b.read()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(() => a.buffer).toThrow(/\[2, 3\] is disposed/);
    expect(() => a.view()).toThrow(/disposed/);
    b.dispose();
    expect(live()).toBe(before);
  });

  it('checks shapes and types', async () => {
    scope(() => {
      expect(() => Tensor.from(gpu, [1, 2, 3], [2, 2])).toThrow(/3 values do not fill the shape \[2, 2\]/);
      const t = Tensor.zeros(gpu, [2, 3]);
      expect(() => t.view([4])).toThrow(/cannot be viewed as \[4\]/);
      expect(() => t.write(new Float32Array(5))).toThrow(/5 values for a tensor of 6/);
      expect([t.dim(0), t.dim(-1), t.dim(-2)]).toEqual([2, 3, 2]);
    });
    const words = Tensor.from(gpu, Uint32Array.of(7, 8));
    await expect(words.read()).rejects.toThrow(/f32/);
    expect(new Uint32Array(await words.readRaw())).toEqual(Uint32Array.of(7, 8));
    const halves = Tensor.from(gpu, Uint16Array.of(1, 2, 3));
    expect(new Uint16Array(await halves.readRaw())).toEqual(Uint16Array.of(1, 2, 3));
    for (const t of [words, halves]) t.dispose();
  });
});
