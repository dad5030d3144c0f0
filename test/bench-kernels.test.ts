import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectedOf, sampleError } from '../bench/kernels/expected.ts';
import { type KernelResults, type KernelRow, withoutImpossible } from '../bench/kernels/measure.ts';
import { prepareBlock, prepareOurs } from '../bench/kernels/ours.ts';
import { Peer } from '../bench/kernels/peers.ts';
import { kernelsSection, shareOfCeiling, timesFaster } from '../bench/kernels/section.ts';
import {
  type BlockTask,
  kernelTasks,
  packedPrompts,
  sharePrompts,
  type Task,
  taskInputs,
  workOf,
} from '../bench/kernels/tasks.ts';
import { performancePage } from '../bench/page.ts';
import { sharedGpu } from './gpu.ts';

const row = (given: Partial<KernelRow>): KernelRow => ({
  group: 'matmul',
  shape: '1576×768×768',
  direction: 'forward',
  amount: 2,
  unit: 'GFLOP/s',
  milliseconds: 50,
  error: 1e-6,
  peers: {},
  ...given,
});
const peer = (milliseconds: number, error = 1e-6) => ({ milliseconds, error });
const results: KernelResults = {
  ceiling: { gflops: 100, copyGBs: 10 },
  peers: [
    { name: 'one', version: '1.0.0' },
    { name: 'two', version: '2.0.0' },
  ],
  rows: [
    row({ peers: { one: peer(300), two: peer(210) } }),
    row({ shape: '35×768×768', milliseconds: 1, amount: 0.02, peers: { one: peer(3.9), two: peer(2, 0.5) } }),
    row({
      group: 'softmax',
      shape: '8×4',
      unit: 'GB/s',
      amount: 0.1,
      peers: { one: { failed: 'no adapter' } },
    }),
    row({ group: 'softmax', shape: '8×4', direction: 'backward', unit: 'GB/s', amount: 0.1 }),
  ],
};

describe('the figures of kernels', () => {
  it('are shares of what bounds them, and compared with the fastest peer', () => {
    const [product, small, failed, alone] = results.rows;
    expect(shareOfCeiling(product!, results.ceiling)).toBeCloseTo(0.4, 9);
    expect(shareOfCeiling(failed!, results.ceiling)).toBeCloseTo(0.2, 9);
    expect(timesFaster(product!)).toBeCloseTo(4.2, 9);
    expect(timesFaster(small!)).toBeCloseTo(2, 9);
    expect(timesFaster(failed!)).toBeNaN();
    expect(timesFaster(alone!)).toBeUndefined();
  });

  it('meet a bar only at their worst shape, and never where every peer failed', () => {
    const bars = kernelsSection.bars(results).map(({ what, value }) => [what.split(':')[0], value]);
    expect(bars[0]).toEqual(['matmul', 2]);
    expect(bars[1]).toEqual(['softmax', Number.NaN]);
    expect(bars[2]![1]).toBeCloseTo(0.4, 9);
    const page = performancePage(
      [
        {
          adapter: { name: 'adapter', driver: 'driver', software: true } as never,
          sections: {
            kernels: { measuredAt: '2026-01-01', seconds: 1, node: 'v20', cores: 2, load: [0, 0], results },
          },
        },
      ],
      [kernelsSection as never],
    );
    expect(page).toMatch(/matmul: speedup .* 35×768×768, forward \| 2 \| ≥ 4 \| \*\*missed\*\*/);
    expect(page).toMatch(/softmax: speedup .* NaN \| ≥ 3 \| \*\*missed\*\*/);
    expect(page).toMatch(/share of the multiply-add ceiling, lowest \| 0\.400 \| ≥ 0\.350 \| met/);
    expect(page).toMatch(/\| matmul \| 35×768×768 .* \| 3\.90 \| 2 \(wrong\) \| 2× \|/);
    expect(page).toContain('- two: wrong, by up to 0.500 of the largest value (matmul forward)');
    expect(page).toContain('- one: no adapter (softmax forward)');
  });

  it('refuse a time that was not waited for', () => {
    const hasty = row({ peers: { one: peer(3), two: peer(15) } });
    expect(withoutImpossible(hasty, results.ceiling).peers).toEqual({
      one: { failed: '3.0 ms is less than this adapter can take' },
      two: peer(15),
    });
  });

  it('say nothing of peers that were not asked for', () => {
    const alone = { ...results, peers: [], rows: results.rows.map((one) => ({ ...one, peers: {} })) };
    expect(kernelsSection.bars(alone)).toHaveLength(2);
    expect(kernelsSection.render(alone)).not.toContain('faster');
  });

  it('are of the shapes of CLIP, counted as published', () => {
    const tasks = kernelTasks(false);
    expect(tasks.filter(({ kind }) => kind === 'matmul')).toHaveLength(24);
    // 12 matrices of width² a token, and the two products of attention.
    const block = tasks.find((task) => task.kind === 'block' && !task.causal)!;
    expect(workOf(block).amount).toBeCloseTo((2 * 1576 * 12 * 768 ** 2 + 4 * 8 * 197 ** 2 * 768) / 1e9, 6);
  });
});

const block: BlockTask = {
  kind: 'block',
  batch: 2,
  tokens: 5,
  width: 16,
  heads: 2,
  causal: true,
  gradient: true,
};

describe('what kernels are checked against', () => {
  it('is a gradient: that of the block agrees with differences', () => {
    const inputs = taskInputs(block);
    const along = (x: Float32Array) => {
      const [y] = expectedOf(block, { ...inputs, x });
      return y!.values.reduce((sum, value, i) => sum + value * inputs.dy![i]!, 0);
    };
    const dx = expectedOf(block, inputs)[1]!.values;
    for (const at of [0, 17, 79, 101, 159]) {
      const moved = (by: number) => inputs.x!.map((value, i) => (i === at ? value + by : value));
      const [up, down] = [moved(2 ** -8), moved(-(2 ** -8))];
      expect((along(up) - along(down)) / (up[at]! - down[at]!)).toBeCloseTo(dx[at]!, 2);
    }
  });

  it('finds a wrong element, a missing output and what is no number', () => {
    const samples = [{ at: Uint32Array.of(1, 2), values: Float64Array.of(1, -4) }];
    expect(sampleError([Float32Array.of(9, 1, -4)], samples)).toBe(0);
    expect(sampleError([Float32Array.of(9, 1, -3)], samples)).toBe(0.25);
    expect(sampleError([Float32Array.of(9, 1, Number.NaN)], samples)).toBe(Number.POSITIVE_INFINITY);
    expect(sampleError([], samples)).toBe(Number.POSITIVE_INFINITY);
  });

  const small: Task[] = [
    { kind: 'matmul', m: 5, k: 8, n: 12 },
    { kind: 'softmax', rows: 9, width: 7, gradient: true },
    { kind: 'layerNorm', rows: 9, width: 8, gradient: true },
    { kind: 'attention', batch: 2, tokens: 5, heads: 2, headDim: 8, causal: true, gradient: true },
    block,
  ];
  it.each(small)('is what this engine computes: $kind', async (task) => {
    const gpu = await sharedGpu();
    const inputs = taskInputs(task);
    const { whole, backward, release } = prepareOurs(gpu, task, inputs);
    for (const way of [whole, ...(backward ? [backward] : [])]) {
      way.run();
      expect(sampleError(await way.read(), expectedOf(task, inputs))).toBeLessThan(1e-5);
    }
    release();
  });

  it('holds for packed prompts: a shared row is every prompt that has it', async () => {
    const gpu = await sharedGpu();
    const { tree, rowOf } = await packedPrompts();
    expect(tree.slots.length).toBe(35);
    const task = {
      ...block,
      batch: rowOf.length,
      tokens: Math.max(...rowOf.map(({ length }) => length)) + 1,
    };
    const inputs = taskInputs(task);
    const rows = sharePrompts(inputs, task, rowOf);
    const padded = prepareOurs(gpu, task, inputs);
    const packed = prepareBlock(gpu, task, inputs, rows, tree);
    padded.whole.run();
    packed.whole.run();
    const [y] = await padded.whole.read();
    const [own] = await packed.whole.read();
    for (const [prompt, path] of rowOf.entries())
      for (const [depth, place] of path.entries()) {
        const at = (prompt * task.tokens + depth) * task.width;
        for (let i = 0; i < task.width; i++) expect(own![place * task.width + i]).toBeCloseTo(y![at + i]!, 4);
      }
    padded.release();
    packed.release();
  });
});

describe('a peer', () => {
  it('says what went wrong, also where its process dies, and goes on with the next task', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'peer-'));
    const module = join(folder, 'peer.mjs');
    writeFileSync(
      module,
      `process.on('message', ({ kind, task, inputs }) => {
        if (task?.kind === 'softmax') throw new Error('out of memory');
        if (task?.kind === 'layerNorm') process.send({ error: 'has no layer norm' });
        else if (kind === 'prepare') process.send({});
        else process.send({ milliseconds: 7, outputs: [Float32Array.of(1, 2)] });
      });
      process.on('disconnect', () => process.exit());
      process.send({});`,
    );
    const library = new Peer('one', '1.0.0', pathToFileURL(module));
    const rows = { rows: 1, width: 1 };
    try {
      await expect(library.prepare({ kind: 'softmax', ...rows }, {})).rejects.toThrow(
        /ended \(1\).*out of memory/,
      );
      await expect(library.time()).rejects.toThrow('its process has ended');
      await expect(library.prepare({ kind: 'layerNorm', ...rows }, {})).rejects.toThrow(
        /^has no layer norm$/,
      );
      await library.prepare({ kind: 'matmul', m: 1, k: 1, n: 1 }, { a: Float32Array.of(1) });
      expect(await library.time()).toBe(7);
      expect(await library.read()).toEqual([Float32Array.of(1, 2)]);
    } finally {
      library.close();
      rmSync(folder, { recursive: true });
    }
  });
});
