import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withSubgroupSize } from '../src/kernels/device/subgroup-size.ts';
import { bindingsOf, specialize } from '../src/kernels/device/wgsl.ts';
import { sharedGpu } from './gpu.ts';

describe('specialize', () => {
  it('replaces constants and aliases, and keeps their suffix', () => {
    const source = 'const ROWS = 4u;\nconst SCALE: f32 = 1.0;\nalias Element = f32;\nlet ROWS2 = ROWS;';
    expect(specialize(source, { ROWS: 8, SCALE: '0.5' })).toBe(
      'const ROWS = 8u;\nconst SCALE: f32 = 0.5;\nalias Element = f32;\nlet ROWS2 = ROWS;',
    );
    expect(specialize(source, { Element: 'f16' })).toMatch(/^enable f16;\n(.*\n)*alias Element = f16;/);
    expect(specialize(source)).toBe(source);
  });

  it('refuses a constant that the shader lacks', () => {
    expect(() => specialize('const ROWS = 4u;', { COLUMNS: 1 })).toThrow(
      /no constant or alias named COLUMNS/,
    );
  });

  it('unrolls loops, nested ones too, with bounds that are specialized', () => {
    const source =
      'const N = 1u;\n//@for r in 0..N\n//@for c in 1..3\nsum_$r_$c = a_$r[$cu];\n//@end\n//@end';
    expect(specialize(source, { N: 2 })).toBe(
      'const N = 2u;\nsum_0_1 = a_0[1u];\nsum_0_2 = a_0[2u];\nsum_1_1 = a_1[1u];\nsum_1_2 = a_1[2u];',
    );
    const together = 'const N = 1u;\n//@for r in 0..N, c in 1..3\nsum_$r_$c = a_$r[$cu];\n//@end';
    expect(specialize(together, { N: 2 })).toBe(specialize(source, { N: 2 }));
    expect(() => specialize('//@for r in 0..2, c\nx\n//@end')).toThrow('//@for r in 0..2, c is not a loop');
  });

  it('chooses between branches by a constant, compared with 0, a number or another constant', () => {
    const source =
      'const BIAS = 0u;\n//@if BIAS\nbias\n//@for i in 0..2\nb_$i\n//@end\n//@else\nnone\n//@end\nrest';
    expect(specialize(source)).toBe('const BIAS = 0u;\nnone\nrest');
    expect(specialize(source, { BIAS: 1 })).toBe('const BIAS = 1u;\nbias\nb_0\nb_1\nrest');
    const masks =
      'const MASK = 0u;\nconst TREE = 2u;\n//@if MASK == TREE\ntree\n//@end\n//@if MASK != 1\nnot 1\n//@end';
    const lines = (MASK: number) => specialize(masks, { MASK }).split('\n').slice(2);
    expect([0, 1, 2].map(lines)).toEqual([['not 1'], [], ['tree', 'not 1']]);
    const nested =
      'const A = 0u;\nconst B = 0u;\n//@if A\n//@if B\nab\n//@else\na\n//@end\n//@else\n//@if B\nb\n//@end\n//@end';
    const of = (A: number, B: number) => specialize(nested, { A, B }).split('\n').slice(2).join();
    expect([of(0, 0), of(0, 1), of(1, 0), of(1, 1)]).toEqual(['', 'b', 'a', 'ab']);
  });

  it('computes constants from others, for bounds and conditions', () => {
    const source =
      'const TILE = 8u;\nconst PER = TILE / 4u;\nconst MORE = PER + 1;\n//@for i in PER..MORE\nx_$i\n//@end';
    expect(specialize(source)).toMatch(/\nx_2$/);
    expect(specialize(source, { TILE: 16 })).toMatch(/const PER = TILE \/ 4u;\n.*\nx_4$/);
  });

  it('includes files once, each with what it includes itself', () => {
    const text = specialize(
      '//@include "lib_matmul_store.wgsl"\n//@include "lib_unary.wgsl" // again\nfn main() {}',
    );
    expect(text.match(/fn unary\(/g)).toHaveLength(1);
    expect(text.match(/fn store\(/g)).toHaveLength(1);
    expect(() => specialize('//@include "lib_nothing.wgsl"')).toThrow(
      /no lib_nothing\.wgsl to include; there are: .*lib_unary\.wgsl/,
    );
  });

  it('puts first what WGSL wants first, where its branch is taken', () => {
    const source = 'const WIDE = 0u;\n//@if WIDE\nenable subgroups;\n//@end\nfn main() {}\nenable f16;';
    expect(specialize(source)).toBe('enable f16;\nconst WIDE = 0u;\nfn main() {}\n');
    expect(specialize(source, { WIDE: 1 })).toMatch(/^enable subgroups;\nenable f16;\nconst WIDE = 1u;/);
    expect(specialize('alias T = f32;\nenable f16;', { T: 'f16' }).match(/enable f16;/g)).toHaveLength(1);
  });

  it('sets a constant in every branch that declares it', () => {
    const source = 'const HOW = 0u;\n//@if HOW\nconst LANES = 1u;\n//@else\nconst LANES = 8u;\n//@end';
    expect(specialize(source, { HOW: 0, LANES: 32 })).toBe('const HOW = 0u;\nconst LANES = 32u;');
    expect(specialize(source, { HOW: 1, LANES: 2 })).toBe('const HOW = 1u;\nconst LANES = 2u;');
  });

  it('says what is wrong with a block', () => {
    expect(() => specialize('//@for i in 0..3\nx')).toThrow(/\/\/@for i in 0\.\.3 has no \/\/@end/);
    expect(() => specialize('//@if FAST\nx\n//@end')).toThrow(/FAST is neither a number nor an integer/);
    expect(() => specialize('x\n//@else\n//@end')).toThrow(/\/\/@else is out of place/);
    expect(() => specialize('//@fro i in 0..3\n//@end')).toThrow(/\/\/@fro i in 0\.\.3 is out of place/);
    expect(() => specialize('//@if 1 < 2\n//@end')).toThrow(/conditions are/);
    expect(() => specialize('//@for i in 0..2\nx\n//@else\ny\n//@end')).toThrow(/is not a loop/);
  });
});

it('bindingsOf reads the declarations, ordered by number', () => {
  const source = `
    @group(0) @binding(2) var<storage, read_write> out: array<f32>;
    @group(0) @binding(0) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    @group(0) @binding(4) var y: texture_storage_2d<rgba32float, write>;
    @group(0) @binding(3) var z: texture_storage_2d<rgba32float, read>;`;
  expect(bindingsOf(source)).toEqual([
    { binding: 0, type: 'uniform' },
    { binding: 1, type: 'read-only-storage' },
    { binding: 2, type: 'storage' },
    { binding: 3, type: 'read-texture', format: 'rgba32float' },
    { binding: 4, type: 'write-texture', format: 'rgba32float' },
  ]);
});

const copy = `
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1)
fn main() {
  out[0] = x[0] EXTRA;
}`;

describe('a kernel', () => {
  it('that does not compile is reported with its name and the WGSL line', async () => {
    const gpu = await sharedGpu();
    const buffers = [gpu.pool.allocate(4), gpu.pool.allocate(4)];
    const broken = { name: 'broken', source: copy.replace('EXTRA', '+ nothing') };
    expect(() => gpu.run(broken, { buffers, groups: [1] })).toThrow(
      /kernel broken does not compile:\n.*nothing.*\n +6 \| {3}out\[0\] = x\[0\] \+ nothing;\n +\| +\^/,
    );
    for (const buffer of buffers) gpu.pool.release(buffer);
  });

  it('names itself when a constant is unknown, buffers lack, or the output is also an input', async () => {
    const gpu = await sharedGpu();
    const kernel = { name: 'copy', source: copy.replace('EXTRA', '') };
    const [a, b] = [gpu.pool.allocate(4), gpu.pool.allocate(4)];
    expect(() => gpu.run(kernel, { buffers: [a, b], groups: [1], constants: { TILE: 2 } })).toThrow(
      /kernel copy: .*TILE/,
    );
    expect(() => gpu.run(kernel, { buffers: [a], groups: [1] })).toThrow(
      /copy binds 2 buffers, but 1 were passed/,
    );
    expect(() => gpu.run(kernel, { buffers: [a, a], groups: [1] })).toThrow(
      /copy: buffer 0 is also the output/,
    );
    gpu.pool.release(a);
    gpu.pool.release(b);
  });

  it('is compiled once for each set of constants', async () => {
    const gpu = await sharedGpu();
    const kernel = { name: 'copy', source: `const TILE = 1u;\n${copy.replace('EXTRA', '')}` };
    const pipeline = gpu.pipelines.get(kernel, { TILE: 2 });
    expect(gpu.pipelines.get(kernel, { TILE: 2 })).toBe(pipeline);
    expect(gpu.pipelines.get(kernel)).not.toBe(pipeline);
    expect(pipeline).toMatchObject({ params: null, storage: [1, 2], writes: [1] });
  });
});

describe('withSubgroupSize', () => {
  const code = 'const LANES = 16u;\n@compute @workgroup_size(64) @subgroup_size(LANES)\nfn main() {}';
  const without = 'const LANES = 16u;\n@compute @workgroup_size(64) fn main() {}';

  it('asks for a size that the adapter has', () => {
    const asked = `enable subgroup_size_control;\n${code}`;
    for (const sizes of [
      { min: 16, max: 16 },
      { min: 8, max: 32 },
    ])
      expect(withSubgroupSize(code, sizes)).toBe(asked);
  });

  it('leaves it to the adapter where it has others, or cannot be asked', () => {
    for (const sizes of [undefined, { min: 32, max: 64 }, { min: 4, max: 8 }])
      expect(withSubgroupSize(code, sizes)).toBe(without);
    expect(withSubgroupSize(without, { min: 16, max: 16 })).toBe(without);
  });

  it('is what kernels with subgroups are compiled with', async () => {
    const gpu = await sharedGpu();
    const { subgroupMin, subgroupMax } = gpu.adapter;
    const source = `
enable subgroups;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
const LANES = 8u;
@compute @workgroup_size(LANES) @subgroup_size(LANES)
fn main(@builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) lane: u32) { out[lane] = size; }`;
    const applies = gpu.has('subgroup-size-control') && subgroupMin <= 8 && subgroupMax >= 8;
    if (!gpu.has('subgroups')) return;
    const out = gpu.pool.allocate(64);
    gpu.run({ name: 'sized', source }, { buffers: [out], groups: [1] });
    const [size] = new Uint32Array(await gpu.read(out, 64));
    gpu.pool.release(out);
    if (applies) expect(size).toBe(8);
    else expect(size).toBeGreaterThanOrEqual(subgroupMin);
  });
});

it.each(readdirSync('shaders'))('%s is a shader first: few of its lines are directives', (name) => {
  const lines = readFileSync(`shaders/${name}`, 'utf8').trimEnd().split('\n');
  const directives = lines.filter((line) => line.trimStart().startsWith('//@'));
  expect(directives.length / lines.length).toBeLessThanOrEqual(1 / 3);
});
