import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { add, multiply } from '../src/autograd/ops/arithmetic.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { Sgd } from '../src/autograd/optimizers.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { UserError } from '../src/common/errors.ts';
import { sizeClass } from '../src/kernels/device/buffer-pool.ts';
import { bindingsOf, specialize } from '../src/kernels/device/wgsl.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { trainMlp } from './examples/mlp.ts';
import { trainTransformer } from './examples/transformer.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

describe('the examples of docs/engine.md', () => {
  const document = readFileSync(new URL('../docs/engine.md', import.meta.url), 'utf8');

  it.each(['mlp', 'transformer'])('%s stands in the document as it runs', (name) => {
    expect(document).toContain(
      readFileSync(new URL(`./examples/${name}.ts`, import.meta.url), 'utf8')
        .trimEnd()
        .replace('../../src/index.ts', 'clip-agiqa-webgpu'),
    );
  });

  it('a multilayer perceptron learns a function of two variables', async () => {
    const losses = await trainMlp(await sharedGpu(), 300);
    expect(losses.at(-1)).toBeLessThan(0.01);
    expect(losses[0]).toBeGreaterThan(0.05);
  });

  it('a two-layer transformer learns to write backwards', async () => {
    const losses = await trainTransformer(await sharedGpu(), 200);
    expect(losses[0]).toBeGreaterThan(2); // log 10 = 2.3: no idea
    expect(losses.at(-1)).toBeLessThan(0.5);
  });
});

describe('lifetimes', () => {
  it('200 training steps leave live buffers and bytes unchanged, and create no buffer after the first', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(6 * 8, 1), [6, 8]);
    const y = Tensor.from(gpu, randoms(6, 2), [6, 1]);
    const weight = Tensor.from(gpu, randoms(8, 3), [1, 8]);
    const optimizer = new Sgd([weight], { lr: 0.01, momentum: 0.9 });
    const step = () =>
      scope(() => {
        const { value, gradients } = valueAndGradients(
          () => mseLoss(linear(x, weight, null, { activation: 'gelu' }), y),
          [weight],
        );
        optimizer.step(gradients);
        return value;
      }).dispose();
    step();
    await gpu.finish();
    const { liveBuffers, liveBytes, created } = gpu.pool.statistics;
    for (let i = 0; i < 200; i++) step();
    await gpu.finish();
    expect(gpu.pool.statistics).toMatchObject({ liveBuffers, liveBytes, created });
    optimizer.dispose();
  });

  it('a scope frees what it made but its result, and everything when it throws', async () => {
    const gpu = await sharedGpu();
    const a = Tensor.from(gpu, [1, 2]);
    const before = gpu.pool.statistics.liveBuffers;
    let inner: Tensor | undefined;
    const sum = scope(() => {
      inner = add(a, a);
      return { nested: [multiply(inner, inner)] };
    });
    expect(inner!.disposed).toBe(true);
    expect(await sum.nested[0]!.read()).toEqual(Float32Array.of(4, 16));
    expect(gpu.pool.statistics.liveBuffers).toBe(before + 1);
    sum.nested[0]!.dispose();
    expect(() =>
      scope(() => {
        add(a, a);
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(gpu.pool.statistics.liveBuffers).toBe(before);
    expect(() => scope(() => Promise.resolve())).toThrow(/synchronous/);
    expect(() => inner!.buffer).toThrow(/is disposed/);
  });

  it('keeps nothing for what is frozen', async () => {
    const gpu = await sharedGpu();
    const frozen = Tensor.from(gpu, randoms(64, 4), [8, 8]);
    const x = Tensor.from(gpu, randoms(8, 5), [1, 8]);
    const parameter = Tensor.from(gpu, randoms(8, 6), [1, 8]);
    const before = gpu.pool.statistics.liveBytes;
    let during = 0;
    const { value, gradients } = valueAndGradients(() => {
      const hidden = scope(() => linear(linear(x, frozen, null, { activation: 'gelu' }), frozen, null));
      during = gpu.pool.statistics.liveBytes - before; // the hidden activation and its input are gone, only the result lives
      return mseLoss(multiply(hidden, parameter), x);
    }, [parameter]);
    expect(during).toBe(256);
    expect([...gradients.keys()]).toEqual([parameter]);
    for (const tensor of [value, ...gradients.values()]) tensor.dispose();
    expect(gpu.pool.statistics.liveBytes).toBe(before);
  });
});

describe('capture and replay', () => {
  it('equals plain execution bit for bit over many steps with changing inputs', async () => {
    const gpu = await sharedGpu();
    const run = async (captured: boolean) => {
      const x = keep(Tensor.from(gpu, randoms(32, 0), [4, 8]));
      const y = keep(Tensor.from(gpu, randoms(4, 1), [4, 1]));
      const weight = keep(Tensor.from(gpu, randoms(8, 2), [1, 8]));
      const optimizer = new Sgd([weight], { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 });
      const step = () =>
        scope(() => {
          const { gradients } = valueAndGradients(
            () => mseLoss(linear(x, weight, null, { activation: 'tanh' }), y),
            [weight],
          );
          optimizer.step(gradients);
        });
      let replay: (() => void) | undefined;
      for (let i = 0; i < 40; i++) {
        x.write(randoms(32, 10 + i));
        optimizer.setLearningRate(0.05 / (1 + i));
        if (!captured) step();
        else if (replay) replay();
        else {
          const { recording } = gpu.capture(step);
          replay = () => recording.replay();
        }
      }
      const values = await weight.read();
      for (const tensor of [x, y, weight]) tensor.dispose();
      return values;
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('refuses a replay whose buffers have gone, and host writes inside a step', async () => {
    const gpu = await sharedGpu();
    const [a, b] = [Tensor.from(gpu, [1]), Tensor.from(gpu, [2])];
    const { recording } = gpu.capture(() => scope(() => void add(a, b)));
    recording.replay();
    b.dispose();
    expect(() => recording.replay()).toThrow(/replay refused: buffer \d+/);
    recording.dispose();
    expect(() => recording.replay()).toThrow(/is disposed/);
    expect(() => gpu.capture(() => a.write(Float32Array.of(3)))).toThrow(/must not write from the host/);
    expect(await a.read()).toEqual(Float32Array.of(1));
  });

  it('creates no buffer and submits once a step', async () => {
    const gpu = await sharedGpu();
    const [a, b] = [Tensor.from(gpu, randoms(100, 1)), Tensor.from(gpu, randoms(100, 2))];
    const { recording } = gpu.capture(() => scope(() => void add(add(a, b), a)));
    gpu.flush();
    const { created } = gpu.pool.statistics;
    const { submits } = gpu.counters;
    for (let i = 0; i < 10; i++) {
      recording.replay();
      gpu.flush();
    }
    expect(gpu.counters.submits - submits).toBe(10);
    expect(gpu.pool.statistics.created).toBe(created);
    expect(recording.dispatches).toBe(2);
    recording.dispose();
  });
});

describe('errors', () => {
  it('a kernel that does not compile shows the WGSL line', async () => {
    const gpu = await openGpu();
    const source =
      '@group(0) @binding(0) var<storage, read_write> out: array<f32>;\n@compute @workgroup_size(1)\nfn main() { out[0] = nothing; }\n';
    const buffer = gpu.pool.allocate(4);
    const outcome = async () => {
      gpu.run({ name: 'broken', source }, { buffers: [buffer], groups: [1] });
      await gpu.finish();
    };
    await expect(outcome()).rejects.toThrow(
      /kernel broken does not compile:[\s\S]*3 \| fn main\(\) { out\[0\] = nothing; }/,
    );
    gpu.close();
  });

  it('a tensor larger than the adapter allows is refused with advice', async () => {
    const gpu = await sharedGpu();
    const outcome = () => gpu.pool.allocate(2 ** 45);
    expect(outcome).toThrow(UserError);
    expect(outcome).toThrow(/exceeds this adapter's largest buffer/);
  });

  it('an output that is also an input is refused', async () => {
    const gpu = await sharedGpu();
    const { binary } = await import('../src/kernels/elementwise.ts');
    const a = gpu.pool.allocate(4);
    expect(() => binary(gpu, 'add', a, a, a, 1)).toThrow(/is also the output/);
  });
});

describe('WGSL specialization', () => {
  it('replaces constants and aliases, unrolls, and leaves out', () => {
    const source =
      'const N = 2u;\nconst BIAS = 1u;\nalias T = f32;\n//@for i in 0..N\nlet x_$i = $iu;\n//@end\n//@if BIAS\nbias\n//@end\n';
    expect(specialize(source)).toBe(
      'const N = 2u;\nconst BIAS = 1u;\nalias T = f32;\nlet x_0 = 0u;\nlet x_1 = 1u;\nbias\n',
    );
    const other = specialize(source, { N: 3, BIAS: 0, T: 'f16' });
    expect(other).toContain('enable f16;');
    expect(other).toContain('let x_2 = 2u;');
    expect(other).not.toContain('bias');
    expect(() => specialize(source, { M: 1 })).toThrow(/no constant or alias named M/);
    expect(() => specialize('//@for i in 0..3\n')).toThrow(/no \/\/@end/);
    expect(() => specialize('//@if UNKNOWN\n//@end\n')).toThrow(/neither a number nor an integer constant/);
  });

  it('reads the bindings a shader declares', () => {
    const source =
      '@group(0) @binding(2) var<storage, read_write> c: array<f32>;\n@group(0) @binding(0) var<uniform> p: P;\n@group(0) @binding(1) var<storage, read> a: array<f32>;';
    expect(bindingsOf(source).map(({ type }) => type)).toEqual(['uniform', 'read-only-storage', 'storage']);
  });
});

it('size classes waste at most an eighth', () => {
  for (const size of [1, 4, 255, 257, 3000, 5000, 1 << 20, 123_456_789]) {
    expect(sizeClass(size)).toBeGreaterThanOrEqual(size);
    if (size > 2048) expect(sizeClass(size)).toBeLessThanOrEqual(size * 1.125 + 256);
    expect(sizeClass(sizeClass(size))).toBe(sizeClass(size));
  }
});
