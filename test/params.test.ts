import { describe, expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { packParams, paramsOf } from '../src/kernels/device/params.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();

/** A kernel that writes each number of its block's fields, in order, as the bits it sees. */
function echo(struct: string, read: readonly string[], declarations = ''): { name: string; source: string } {
  const source = `${declarations}
struct Params { ${struct} }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1) fn main() {
${read.map((expression, i) => `out[${i}] = bitcast<u32>(params.${expression});`).join('\n')}
}`;
  return { name: 'echo', source };
}

async function words(kernel: ReturnType<typeof echo>, params: readonly number[]): Promise<Uint32Array> {
  const out = Tensor.from(gpu, new Uint32Array(params.length));
  try {
    gpu.run(kernel, { buffers: [out.buffer], params, groups: [1] });
    return new Uint32Array(await out.readRaw());
  } finally {
    out.dispose();
  }
}

const bits = (...values: number[]) => [...new Uint32Array(Float32Array.from(values).buffer)];

describe('params', () => {
  const scaled = echo('size: u32, k: f32', ['size', 'k']);

  it('are numbers: what is an f32 there is converted', async () => {
    expect([...(await words(scaled, [4, 0.1]))]).toEqual([4, ...bits(0.1)]);
    expect([...(await words(scaled, [2 ** 32 - 1, 4]))]).toEqual([2 ** 32 - 1, ...bits(4)]);
    const signed = echo('a: i32, b: i32, c: f32', ['a', 'b', 'c']);
    expect([...(await words(signed, [-1, 2 ** 31 - 1, -2]))]).toEqual([
      2 ** 32 - 1,
      2 ** 31 - 1,
      ...bits(-2),
    ]);
  });

  it('that differ behind the point, in their sign, or are no numbers are not taken for one another', async () => {
    const values = [0.5, 0.25, 0.75, 1e-6, 2e-6, 0, -0, Number.NaN, Number.POSITIVE_INFINITY, 3.4e38];
    for (let again = 0; again < 2; again++)
      for (const value of values)
        expect([...(await words(scaled, [1, value]))], String(value)).toEqual([1, ...bits(value)]);
  });

  it('stand where WGSL aligns them', async () => {
    const kernel = echo(
      `a: f32, // vec9 { of, what }
       b: vec3f, c: u32, /* d: u32, */ d: vec2<u32>, e: T, f: vec4<f32>, g: vec3i, h: V,`,
      [
        'a',
        'b.x',
        'b.y',
        'b.z',
        'c',
        'd.x',
        'd.y',
        'e',
        'f.x',
        'f.y',
        'f.z',
        'f.w',
        'g.x',
        'g.y',
        'g.z',
        'h.x',
        'h.y',
      ],
      'alias T = f32;\nalias V = vec2<T>;',
    );
    const given = [0.5, 1.5, 2.5, 3.5, 4, 5, 6, 7.5, 8.5, 9.5, 10.5, 11.5, -12, 13, 14, 15.5, 16.5];
    const whole = (i: number) => (i >= 4 && i <= 6) || (i >= 12 && i <= 14);
    expect([...(await words(kernel, given))]).toEqual(
      given.map((value, i) => (whole(i) ? value >>> 0 : bits(value)[0])),
    );
  });

  it('may be a block without a struct', () => {
    const layout = paramsOf('@group(0) @binding(0) var<uniform> scale: vec2f;');
    expect([...packParams(layout, [1, 2])]).toEqual(bits(1, 2));
    expect(paramsOf('@group(0) @binding(1) var<storage, read> x: array<f32>;')).toBeNull();
  });

  const refused: [given: readonly unknown[], says: RegExp][] = [
    [[], /kernel echo: 0 numbers in params, size, k missing: the shader declares size: u32, k: f32/],
    [[4], /kernel echo: 1 number in params, k missing: /],
    [[4, 2, 3], /kernel echo: 3 numbers in params, 1 too many: /],
    [[4.5, 2], /kernel echo: size is a u32, and 4.5 is not: integers from 0 to 4294967295/],
    [[-1, 2], /size is a u32, and -1 is not/],
    [[2 ** 32, 2], /size is a u32, and 4294967296 is not/],
    [[Number.NaN, 2], /size is a u32, and NaN is not/],
    [[undefined, 2], /size is a u32, and undefined is not/],
    [['4', 2], /size is a u32, and 4 is not/],
    [[4, 1e39], /k is an f32, and 1e\+39 is not/],
    [[4, '2'], /k is an f32, and 2 is not/],
    [[4, undefined], /k is an f32, and undefined is not/],
  ];

  it.each(refused)('%j are refused, and the device goes on', async (given, says) => {
    await expect(words(scaled, given as number[])).rejects.toThrow(says);
    expect([...(await words(scaled, [4, 2]))]).toEqual([4, ...bits(2)]);
  });

  it('are refused where the shader declares none, and lack where they are left out', () => {
    const source =
      '@group(0) @binding(1) var<storage, read_write> out: array<u32>;\n@compute @workgroup_size(1) fn main() { out[0] = 1; }';
    const out = gpu.pool.allocate(4);
    const run = (kernel: { name: string; source: string }, params?: number[]) =>
      gpu.run(kernel, { buffers: [out], groups: [1], ...(params ? { params } : {}) });
    expect(() => run({ name: 'plain', source }, [1])).toThrow(
      /kernel plain: 1 number in params, but the shader declares no uniform block/,
    );
    run({ name: 'plain', source }, []);
    expect(() => run(scaled)).toThrow(/kernel echo: 0 numbers in params, size, k missing/);
    gpu.pool.release(out);
  });

  it('of types that are no numbers are refused by name', () => {
    const of = (struct: string) => () =>
      paramsOf(`struct P { ${struct} } @group(0) @binding(0) var<uniform> p: P;`);
    expect(of('a: u32, m: mat4x4<f32>')).toThrow(/^m: mat4x4<f32>: a uniform block holds/);
    expect(of('a: array<vec4f, 2>')).toThrow(/^a: array<vec4f, 2>: /);
    expect(of('@align(16) a: u32')).toThrow(/^@align\(16\) a: u32: /);
    expect(of('h: f16')).toThrow(/^h: f16: /);
  });
});
