import { afterAll, describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { attention, attentionFrom } from '../src/autograd/ops/attention.ts';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
import {
  type AttentionMask,
  applicableAttentionGradients,
  attentionBackward,
  attentionForward,
  attentionGradientVariants,
  attentionVariants,
} from '../src/kernels/attention/index.ts';
import type { GpuBuffer } from '../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { tune, tuned } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { type Case, referenceAttention, subtreeEnds } from '../src/reference/attention.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { uniformRandoms } from './reference/values.ts';
import { workspace } from './reference/workspace.ts';

const gpu = await sharedGpu();

/** Another that passes for a GPU, where the variants of a processor read buffers whatever the shape. */
const passing = await openGpu();
Object.defineProperty(passing, 'adapter', { value: { ...passing.adapter, software: false } });
afterAll(() => passing.close());

/** Whether a variant can compute the case on this adapter. */
function applies(variant: string, test: Case): boolean {
  const dense = { buffer: { kind: 'buffer' } as GpuBuffer, offset: 0, stride: test.heads * test.headDim };
  const apart = test.queries === test.keys ? dense : { ...dense, buffer: { kind: 'buffer' } as GpuBuffer };
  const options = { ...test, q: apart, k: dense, v: dense };
  return applicableAttentionGradients(gpu, options).includes(variant);
}

/** The same variant forward, where it has a forward pass. */
const forwardOf = (variant: string) => (attentionVariants.includes(variant) ? { variant } : {});

/** Runs a variant with q, k and v in one buffer where the lengths agree, and gradients likewise. */
async function run(gpu: Gpu, variant: string | undefined, test: Case) {
  const { batch, queries, keys, heads, headDim, mask, q, k, v, dOut } = test;
  const width = heads * headDim;
  const { upload, empty, download, release } = workspace(gpu);
  const end = mask === 'tree' ? upload(test.end!) : undefined;
  const shape = { batch, queries, keys, heads, headDim, mask, end };
  const [out, lse] = [empty(q.length), empty(batch * heads * queries)];
  const dO = upload(dOut);
  const interleave = (...parts: Float32Array[]) => {
    const rows = parts[0]!.length / width;
    const joined = new Float32Array(parts.length * rows * width);
    for (let r = 0; r < rows; r++)
      for (const [p, part] of parts.entries())
        joined.set(part.subarray(r * width, (r + 1) * width), (r * parts.length + p) * width);
    return joined;
  };
  const part = (joined: Float32Array, index: number, count: number) => {
    const rows = joined.length / count / width;
    const one = new Float32Array(rows * width);
    for (let r = 0; r < rows; r++)
      one.set(joined.subarray((r * count + index) * width, (r * count + index + 1) * width), r * width);
    return one;
  };
  const packed = queries === keys;
  const [first, second] = packed ? [interleave(q, k, v), undefined] : [q, interleave(k, v)];
  const inputs = [upload(first), ...(second ? [upload(second)] : [])];
  const gradients = [first, ...(second ? [second] : [])].map((x) => empty(x.length));
  const views = ([a, b]: GpuBuffer[]) =>
    [0, 1, 2].map((i) =>
      b && i > 0
        ? { buffer: b, offset: (i - 1) * width, stride: 2 * width }
        : { buffer: a!, offset: i * width, stride: b ? width : 3 * width },
    );
  const [sq, sk, sv] = views(inputs);
  const [dq, dk, dv] = views(gradients);
  const tensors = { q: sq!, k: sk!, v: sv! };
  attentionForward(gpu, { ...shape, ...tensors, out, lse, ...(variant && forwardOf(variant)) });
  const gradient = { dOut: dO, dq: dq!, dk: dk!, dv: dv! };
  attentionBackward(gpu, { ...shape, ...tensors, out, lse, ...gradient, ...(variant && { variant }) });
  const got = await download(gradients[0]!, first.length);
  const rest = second ? await download(gradients[1]!, second.length) : got;
  const result = {
    out: await download(out, q.length),
    lse: await download(lse, batch * heads * queries),
    dq: packed ? part(got, 0, 3) : got,
    dk: packed ? part(rest, 1, 3) : part(rest, 0, 2),
    dv: packed ? part(rest, 2, 3) : part(rest, 1, 2),
  };
  release();
  return result;
}

function makeCase(
  mask: AttentionMask,
  queries: number,
  keys: number,
  headDim: number,
  tree: 'random' | 'chain' | 'star' = 'random',
): Case {
  const batch = 1 + ((queries + keys) % 3);
  const heads = headDim === 64 ? 3 : 2;
  const width = heads * headDim;
  const parents = Array.from({ length: keys }, (_, j) => {
    if (tree === 'chain') return j - 1;
    if (tree === 'star') return j === 0 ? -1 : 0;
    return j === 0 ? -1 : Math.floor((uniformRandoms(1, j)[0]! * 0.5 + 0.5) * j);
  });
  return {
    batch,
    queries,
    keys,
    heads,
    headDim,
    mask,
    end: mask === 'tree' ? subtreeEnds(parents) : undefined,
    // Scores spread over about ±8, so that the softmax is neither flat nor a single peak.
    q: uniformRandoms(batch * queries * width, 1).map((x) => x * 4),
    k: uniformRandoms(batch * keys * width, 2).map((x) => x * 2),
    v: uniformRandoms(batch * keys * width, 3),
    dOut: uniformRandoms(batch * queries * width, 4),
  };
}

const cases: [string, Case][] = [];
for (const mask of ['none', 'causal', 'tree'] as const)
  for (const tokens of [1, 3, 17, 35, 64, 77, 197])
    cases.push([`${mask}, ${tokens} tokens, heads of 64`, makeCase(mask, tokens, tokens, 64)]);
for (const mask of ['none', 'causal', 'tree'] as const)
  for (const headDim of mask === 'none' ? [32, 20, 6, 128] : [32, 20, 6])
    cases.push([`${mask}, 37 tokens, heads of ${headDim}`, makeCase(mask, 37, 37, headDim)]);
cases.push(['a tree that is a chain', makeCase('tree', 35, 35, 64, 'chain')]);
cases.push(['a tree that is a star', makeCase('tree', 35, 35, 64, 'star')]);
for (const [queries, keys] of [
  [1, 197],
  [5, 50],
  [40, 9],
  [3, 300],
  [3, 600],
] as const)
  for (const headDim of [64, 20])
    cases.push([
      `${queries} queries of ${keys} keys, heads of ${headDim}`,
      makeCase('none', queries, keys, headDim),
    ]);

/** Other tiles of the same shaders only cut the rows at other places. */
const furtherTile = /^flash\d/;

describe.each(attentionGradientVariants)('attention, variant %s', (variant) => {
  it.each(furtherTile.test(variant) ? cases.filter(([name]) => /35|77 tokens/.test(name)) : cases)(
    '%s',
    async (_, test) => {
      if (!applies(variant, test)) return;
      const expected = referenceAttention(test);
      const actual = await run(gpu, variant, test);
      for (const name of ['out', 'lse', 'dq', 'dk', 'dv'] as const)
        expect(maxError(actual[name], expected[name]), name).toBeLessThan(1e-5);
    },
  );

  it('gives the same bytes twice', async () => {
    const test = makeCase('tree', 61, 61, 64);
    if (!applies(variant, test)) return;
    const [first, second] = [await run(gpu, variant, test), await run(gpu, variant, test)];
    expect(second).toEqual(first);
  });

  it('holds for scores beyond the range of exp', async () => {
    const test = makeCase('causal', 35, 35, 64);
    if (!applies(variant, test)) return;
    const large = { ...test, q: test.q.map((x) => x * 30) };
    const actual = await run(gpu, variant, large);
    expect(maxError(actual.out, referenceAttention(large).out)).toBeLessThan(1e-4);
  });
});

it('gives the same bytes by every size of tile', async () => {
  for (const mask of ['none', 'causal', 'tree'] as const) {
    const test = makeCase(mask, 77, 77, 64);
    const expected = await run(gpu, 'flash', test);
    const tiles = attentionVariants.filter((variant) => furtherTile.test(variant) && applies(variant, test));
    expect(tiles.length).toBeGreaterThan(0);
    for (const variant of tiles)
      expect(await run(gpu, variant, test), `${variant}, ${mask}`).toEqual(expected);
  }
});

describe('attention on what passes for a GPU', () => {
  cacheFolder('attention-');

  it.each(['none', 'causal', 'tree'] as const)('by the variant of a processor, mask %s', async (mask) => {
    const test = makeCase(mask, 77, 77, 64);
    if (!applies('simd', test)) return;
    const [actual, expected] = [await run(passing, 'simd', test), referenceAttention(test)];
    for (const name of ['out', 'lse', 'dq', 'dk', 'dv'] as const)
      expect(maxError(actual[name], expected[name]), name).toBeLessThan(1e-5);
  });

  it('measures each variant that applies once a direction, a tree as causal', async () => {
    const test = makeCase('tree', 20, 20, 32);
    const byRule = await run(passing, undefined, test);
    expect(byRule).toEqual(await run(passing, applies('head', test) ? 'head' : 'flash', test));
    await tune(passing, { rounds: 1 });
    const measured = [...tuned(passing)].map(([key, { times }]) => [key, Object.keys(times)]);
    for (const [direction, all] of [
      ['attention', attentionVariants],
      ['attention_backward', attentionGradientVariants],
    ] as const)
      expect(measured).toContainEqual([
        expect.stringMatching(new RegExp(`^${direction}/\\w+/8x2 20x20x32 causal$`)),
        all.filter((variant) => applies(variant, test)),
      ]);
    const { out, dq } = await run(passing, undefined, test);
    expect(maxError(out, byRule.out)).toBeLessThan(1e-5);
    expect(maxError(dq, byRule.dq)).toBeLessThan(1e-5);
  });
});

it('refuses gradients of keys and values in two buffers, and a tree without its ends', () => {
  const [a, b] = [gpu.pool.allocate(64), gpu.pool.allocate(64)];
  const view = (buffer: GpuBuffer) => ({ buffer, offset: 0, stride: 4 });
  const sizes = { batch: 1, queries: 1, keys: 1, heads: 1, headDim: 4 };
  const inputs = { ...sizes, q: view(a), k: view(a), v: view(a), out: b };
  const gradients = { lse: a, dOut: a, dq: view(b), dk: view(b), dv: view(a) };
  expect(() => attentionBackward(gpu, { ...inputs, ...gradients, mask: 'none' })).toThrow(/one buffer/);
  expect(() => attentionForward(gpu, { ...inputs, mask: 'tree' })).toThrow(/ends of its subtrees/);
  for (const buffer of [a, b]) gpu.pool.release(buffer);
});

describe('attention as an op', () => {
  const make = (shape: number[], seed: number) =>
    Tensor.from(gpu, uniformRandoms(elementCount(shape), seed), shape);

  it.each([
    ['none', 8],
    ['causal', 8],
    ['none', 6], // 6 is no multiple of 4: the naive variant
    ['causal', 6],
  ] as const)('has the gradient of its finite differences, mask %s, heads of %d', async (mask, headDim) => {
    const qkv = make([2, 5, 3 * 2 * headDim], 1);
    await gradcheck((x) => attention(x, { heads: 2, mask }), [qkv], { tolerance: 5e-3 });
    qkv.dispose();
  });

  it('has it for a tree, and none for the ends of its subtrees', async () => {
    const qkv = make([1, 7, 48], 2);
    const end = Tensor.from(gpu, subtreeEnds([-1, 0, 1, 1, 0, 4, 4]));
    await gradcheck((x) => attention(x, { heads: 2, end }), [qkv], { tolerance: 5e-3 });
    qkv.dispose();
    end.dispose();
  });

  it('has it for queries apart from keys and values', async () => {
    const [q, kv] = [make([2, 1, 16], 3), make([2, 6, 32], 4)];
    await gradcheck((a, b) => attentionFrom(a, b, { heads: 2 }), [q, kv], { tolerance: 5e-3 });
    await gradcheck((a, b) => attentionFrom(a, b, { heads: 2 }), [q, kv], {
      tolerance: 5e-3,
      check: [false, true],
    });
    q.dispose();
    kv.dispose();
  });

  it('gives the class token what the full attention gives it', async () => {
    const qkv = make([2, 50, 192], 5);
    const data = await qkv.read();
    const rows = (from: number, to: number, every: number) =>
      Float32Array.from({ length: (100 / every) * (to - from) }, (_, i) => {
        const width = to - from;
        return data[Math.floor(i / width) * every * 192 + from + (i % width)]!;
      });
    const [class_, full] = scope(() => [
      attentionFrom(
        Tensor.from(gpu, rows(0, 64, 50), [2, 1, 64]),
        Tensor.from(gpu, rows(64, 192, 1), [2, 50, 128]),
        {
          heads: 2,
        },
      ),
      attention(qkv, { heads: 2 }),
    ]) as [Tensor, Tensor];
    const expected = await full.read();
    const actual = await class_.read();
    for (const [i, value] of actual.entries())
      expect(value).toBeCloseTo(expected[Math.floor(i / 64) * 50 * 64 + (i % 64)]!, 5);
    for (const tensor of [qkv, class_, full]) tensor.dispose();
  });

  it('refuses shapes that do not fit', () => {
    const qkv = make([1, 4, 25], 6);
    expect(() => attention(qkv, { heads: 2 })).toThrow('qkv is [1, 4, 25]');
    qkv.dispose();
  });
});
