import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { budgetOf, multiplyAddShare, overdrawn } from '../bench/gpu-compilers/budget.ts';
import { readOutput } from '../bench/gpu-compilers/compile.ts';
import { compileEverything, everyShader, switched } from '../bench/gpu-compilers/every-kernel.ts';
import { gpuCompilersPage, type PageData } from '../bench/gpu-compilers/page.ts';
import { type Statistics, statisticsOf } from '../bench/gpu-compilers/statistics.ts';
import { specialize } from '../src/kernels/device/wgsl.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { families } from '../src/kernels/variant.ts';

/** A loop of a slice, with an inner one: 4 multiply-adds of 6 vector instructions, and a wait on either side of the barrier. */
const code = `
Compute Shader
disasm:
BB0:
	v_fma_f32 v9, v1, v2, v3                                    ; d6130009
BB1:
	s_waitcnt vmcnt(1)                                          ; bf8c3f71
	ds_store_b128 v1, v[4:7]                                    ; db7c0000
	s_waitcnt vmcnt(0)                                          ; bf8c3f70
	ds_store_b128 v1, v[8:11] offset:4096                       ; db7c1000
	s_barrier                                                   ; bfbd0000
	global_load_b128 v[4:7], v2, s[2:3]                         ; dc5e0000
BB2:
	ds_load_b128 v[20:23], v3                                   ; dbfc0000
	v_add_nc_u32_e32 v3, 16, v3                                 ; 4a060690
	v_fmac_f32_e32 v12, v20, v21                                ; 56181514
	v_fma_mix_f32 v13, v20, 1.0, 0 op_sel_hi:[1,0,0]            ; cc20000d
	v_dual_fmac_f32 v14, v20, v22 :: v_dual_fmac_f32 v15, v21, v23 ; c8000000
	s_cbranch_scc1 BB2                                          ; bfa2fff0
	s_cbranch_scc1 BB1                                          ; bfa2ffe0
	s_endpgm                                                    ; bfb00000

Compute Shader:
*** SHADER STATS ***
SGPRs: 128
VGPRs: 96
Spilled SGPRs: 0
Spilled VGPRs: 0
LDS size: 8192
Scratch size: 0
Subgroups per SIMD: 16
`;
const fitting: Statistics = statisticsOf(code)!;

describe('the statistics', () => {
  it('are those of the last shader, with its busiest loop', () => {
    expect(fitting).toEqual({
      registers: 96,
      shared: 8192,
      scratch: 0,
      spilled: 0,
      waves: 16,
      legible: true,
      loop: { multiplyAdds: 3, vector: 6, waits: 1 },
    });
    const later = code.replace('VGPRs: 96', 'VGPRs: 64');
    expect(statisticsOf(code + later)!.registers).toBe(64);
    expect(statisticsOf('nothing was compiled')).toBeUndefined();
  });

  it('count a wait for each time that memory was asked before', () => {
    const again = code.replace(
      's_barrier ',
      'global_load_b32 v9, v2, s[2:3] ; 0\n\ts_waitcnt vmcnt(1) ; 0\n\ts_barrier ',
    );
    expect(statisticsOf(again)!.loop!.waits).toBe(2);
  });

  it('know no loop where the driver cannot disassemble', () => {
    const fallback = code.replace(
      'BB0:',
      'Shader disassembly is not supported in the current configuration\nBB0:',
    );
    expect(statisticsOf(fallback)).toMatchObject({ loop: null, legible: false, registers: 96 });
  });
});

describe('a budget', () => {
  const line = '//@budget registers 96, shared 8, waves 16 on navi31, multiply-adds 50, waits 1';

  it('is the last line in force, and holds what keeps within it', () => {
    const budget = budgetOf(`//@budget registers 1, shared 1\n${line}\n`);
    expect(budget).toEqual({ registers: 96, shared: 8, waves: { navi31: 16 }, multiplyAdds: 50, waits: 1 });
    expect(overdrawn(budget, 'navi31', fitting)).toEqual([]);
    expect(multiplyAddShare(fitting)).toBe(50);
  });

  it.each([
    [{ registers: 97 }, '97 registers of 96'],
    [{ shared: 8193 }, '8193 bytes of shared memory of 8 KiB'],
    [{ scratch: 4 }, '4 bytes of scratch memory'],
    [{ spilled: 2 }, '2 spilled registers'],
    [{ waves: 15 }, '15 waves a SIMD, not 16'],
    [{ loop: { multiplyAdds: 49, vector: 100, waits: 1 } }, '49.0 % multiply-adds, not 50 %'],
    [{ loop: null }, 'no loop of multiply-adds, not 50 %'],
    [{ loop: { multiplyAdds: 50, vector: 100, waits: 2 } }, '2 waits in the loop, not 1'],
  ])('is overdrawn by %o', (fault, what) => {
    expect(overdrawn(budgetOf(line), 'navi31', { ...fitting, ...fault })).toEqual([what]);
  });

  it('asks for occupancy only where it says so, and for nothing that is not legible', () => {
    expect(overdrawn(budgetOf(line), 'vega10', { ...fitting, waves: 1 })).toEqual([]);
    expect(overdrawn(budgetOf(line), 'navi31', { ...fitting, loop: null, legible: false })).toEqual([]);
  });

  it.each([
    '',
    '//@budget registers 8',
    '//@budget registers 8, shared 0, speed 9',
    '//@budget registers 8, shared 0, waves 2',
  ])('is refused as "%s"', (text) => expect(() => budgetOf(text)).toThrow(/budget/));
});

describe('every kernel', () => {
  it('is compiled, or its variants do not apply on this adapter', async () => {
    const gpu = await openGpu();
    const compiled = new Set<string>();
    // What is asked for is enough here: drivers compile in the job.
    gpu.pipelines.get = ({ source }) => {
      compiled.add(source);
      return undefined as never;
    };
    gpu.run = ({ source }) => void compiled.add(source);
    try {
      const { notHere } = compileEverything(gpu, (source) => compiled.has(source));
      const ofVariants = new Set(families.flatMap(({ sources }) => [...sources]));
      for (const { name, source } of everyShader())
        expect(compiled.has(source) || (notHere.includes(name) && ofVariants.has(source)), name).toBe(true);
      expect(compiled.size).toBeGreaterThan(35);
    } finally {
      gpu.close();
    }
  });

  it('that a GPU may run has a budget in every combination of its switches', () => {
    const onProcessors = /simd|copy_to_texture/;
    for (const { name, source } of everyShader().filter((shader) => !onProcessors.test(shader.name)))
      for (const constants of switched(source))
        expect(() => budgetOf(specialize(source, constants)), name).not.toThrow();
  });

  it('has its switches found', () => {
    const of = (name: string) => switched(everyShader().find((shader) => shader.name === name)!.source);
    expect(of('layernorm')).toHaveLength(4);
    expect(of('binary')).toHaveLength(4);
    expect(of('unary')).toHaveLength(9);
    expect(of('fill')).toEqual([{}]);
  });
});

it('a run in which the kernel that spills on purpose does not spill fails', () => {
  const run = `\n##### ${JSON.stringify({ kernel: 'spilling', shader: 'spilling', constants: {}, budget: { registers: 256, shared: 0, waves: {} } })}\n`;
  expect(() => readOutput('navi31', run + code)).toThrow('not found to spill');
  const spilled = code.replace('Scratch size: 0', 'Scratch size: 512');
  expect(readOutput('navi31', run + spilled).kernels).toEqual([]);
});

it('docs/gpu-compilers.md is the page of what is stored', () => {
  const data = JSON.parse(readFileSync('bench/results/gpu-compilers/radv.json', 'utf8')) as PageData;
  expect(readFileSync('docs/gpu-compilers.md', 'utf8')).toBe(gpuCompilersPage(data));
});

describe('shared memory of the matrix product', () => {
  // place() of the shader, in JavaScript: all of its numbers are unsigned.
  const source = everyShader().find(({ name }) => name === 'matmul_tile')!.source;
  const [, expression] = /fn place\(row: u32, steps: u32\) -> u32 {\s*return (.*);/.exec(source)!;
  const place = new Function(
    'row',
    'steps',
    `return ${expression!.replaceAll('/ 2u', '>> 1').replace(/(\d)u/g, '$1')};`,
  ) as (row: number, steps: number) => number;
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  /** 32 banks of 4 bytes are 8 of a vec4, and 8 lanes are served at once. */
  const banks = (places: readonly number[]) => new Set(places.map((at) => at % 8)).size;

  it('has a place of its own for every vec4 of a slice', () => {
    const places = Array.from({ length: 512 }, (_, i) => place(i >> 2, i & 3));
    expect(new Set(places).size).toBe(512);
    expect(Math.max(...places)).toBe(511);
  });

  it('is written and read without bank conflicts', () => {
    for (let first = 0; first < 256; first += 8)
      expect(banks(eight.map((i) => place((first + i) >> 2, (first + i) & 3)))).toBe(8);
    for (const first of [0, 8])
      for (let steps = 0; steps < 4; steps++) {
        expect(banks(eight.map((lane) => place(first + lane, steps)))).toBe(8);
        // As it is without the exchange.
        expect(banks(eight.map((lane) => (first + lane) * 4 + steps))).toBe(2);
      }
  });

  it('has rows 16 apart 64 places apart, as the loop reads them', () => {
    for (let row = 0; row < 112; row++)
      for (let steps = 0; steps < 4; steps++) expect(place(row + 16, steps)).toBe(place(row, steps) + 64);
  });
});
