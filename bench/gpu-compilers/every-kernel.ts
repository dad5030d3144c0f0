import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import '../../src/index.ts';
import { packageFile } from '../../src/common/package.ts';
import {
  type AttentionMask,
  applicableAttention,
  applicableAttentionGradients,
  attentionBackward,
  attentionForward,
} from '../../src/kernels/attention/index.ts';
import type { GpuBuffer } from '../../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { paramsOf } from '../../src/kernels/device/params.ts';
import { bindingsOf, type Constants, resolveIncludes, specialize } from '../../src/kernels/device/wgsl.ts';
import {
  applicableMatmuls,
  type MatmulOptions,
  matmul,
  type NormOfA,
  takesNorm,
} from '../../src/kernels/matmul/index.ts';
import type { RowLaunch, RowShape } from '../../src/kernels/rows/row-kernel.ts';
import { type Family, families } from '../../src/kernels/variant.ts';

/** A shader file that holds a kernel, by its name without the extension. */
export interface Shader {
  readonly name: string;
  readonly source: string;
}

/** Every kernel in shaders/. */
export function everyShader(): Shader[] {
  const folder = packageFile('shaders');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.wgsl') && !file.startsWith('lib_'))
    .sort()
    .map((file) => ({
      name: file.replace(/\.wgsl$/, ''),
      source: readFileSync(join(folder, file), 'utf8'),
    }));
}

/**
 * Has the adapter's driver compile every kernel that this adapter may run, each with every set of constants that changes its code,
 * by what the modules declare: of each family (src/kernels/variant.ts) all variants that apply, in all layouts, masks and epilogues;
 * of the other shaders all combinations of their switches. Gives the shaders that only variants launch that do not apply here.
 */
export function compileEverything(
  gpu: Gpu,
  isCompiled?: (source: string) => boolean,
): { readonly notHere: string[] } {
  const compiled = new Set<string>();
  const { onCompile } = gpu.pipelines;
  gpu.pipelines.onCompile = (kernel, constants, code) => {
    compiled.add(kernel.source);
    onCompile?.(kernel, constants, code);
  };
  try {
    products(gpu);
    attention(gpu);
    for (const family of families)
      if (!byHand.has(family.name)) rows(gpu, family as unknown as Family<RowShape, RowLaunch>);
    const ofVariants = new Set(families.flatMap(({ sources }) => [...sources]));
    const notHere: string[] = [];
    for (const { name, source } of everyShader()) {
      if ((isCompiled ?? ((text) => compiled.has(text)))(source)) continue;
      if (ofVariants.has(source)) notHere.push(name);
      else for (const constants of switched(source)) gpu.pipelines.get({ name, source }, constants);
    }
    return { notHere };
  } finally {
    gpu.pipelines.onCompile = onCompile;
  }
}

/** Families whose launches take more than a matrix of rows. */
const byHand = new Set(['matmul', 'attention', 'attention_backward']);

/** Sizes of many rows and of few, and one whose rows are no multiple of a vec4. */
const productSizes = [
  { m: 512, n: 512, k: 64 },
  { m: 6, n: 512, k: 512 },
  { m: 130, n: 66, k: 35 },
];

function products(gpu: Gpu): void {
  for (const { m, n, k } of productSizes)
    for (const [transposeA, transposeB] of everyChoice(2))
      for (const bType of ['f32', 'f16'] as const) {
        const options: MatmulOptions = {
          m,
          n,
          k,
          transposeA: transposeA === 1,
          transposeB: transposeB === 1,
          bType,
          a: floats(gpu, m * k),
          b: floats(gpu, k * n),
          out: floats(gpu, m * n),
        };
        const epilogue = {
          bias: floats(gpu, n),
          residual: floats(gpu, m * n),
          preactivation: floats(gpu, m * n),
          activation: 'gelu' as const,
        };
        for (const variant of applicableMatmuls(gpu, options)) {
          matmul(gpu, { ...options, ...epilogue, variant });
          // The bare product once for each size of tile: an epilogue only comes after it.
          if (transposeB === 1 && bType === 'f32') matmul(gpu, { ...options, variant });
          if (transposeA === 0 && transposeB === 0) {
            const derivative = { activation: 'gelu' as const, x: floats(gpu, m * n) };
            matmul(gpu, { ...options, derivative, variant });
            if (takesNorm(gpu, { ...options, derivative, variant }, 'gradient'))
              for (const norm of norms(gpu, m, k)) matmul(gpu, { ...options, derivative, norm, variant });
          }
        }
      }
}

/** What few rows may be made of on their way into a product. */
function norms(gpu: Gpu, m: number, k: number): NormOfA[] {
  const [gamma, beta, stats] = [floats(gpu, k), floats(gpu, k), floats(gpu, 2 * m)];
  const [x, residual, dx] = [floats(gpu, m * k), floats(gpu, m * k), floats(gpu, m * k)];
  const gradient = { of: 'gradient' as const, gamma, eps: 1e-5, x, dx };
  return [
    { of: 'rows', gamma, beta, eps: 1e-5, stats },
    { ...gradient, residual },
    { ...gradient, residual: null },
  ];
}

function attention(gpu: Gpu): void {
  const [batch, heads] = [1, 2];
  const masks: readonly AttentionMask[] = ['none', 'causal', 'tree'];
  // Every mask with the heads of CLIP; with others, of which 30 is no multiple of 4, one. Of few tokens the gradients have a variant more.
  for (const [headDim, tokens] of [
    [64, 70],
    [64, 40],
    [80, 70],
    [30, 70],
  ] as const)
    for (const mask of headDim === 64 ? masks : masks.slice(0, 1)) {
      const width = heads * headDim;
      const [qkv, gradients] = [
        floats(gpu, batch * tokens * 3 * width),
        floats(gpu, batch * tokens * 3 * width),
      ];
      const third = (buffer: GpuBuffer, part: number) => ({
        buffer,
        offset: part * width,
        stride: 3 * width,
      });
      const end = mask === 'tree' ? floats(gpu, tokens) : undefined;
      const shape = {
        batch,
        queries: tokens,
        keys: tokens,
        heads,
        headDim,
        mask,
        end,
        q: third(qkv, 0),
        k: third(qkv, 1),
        v: third(qkv, 2),
      };
      const [out, dOut, lse] = [batch * tokens * width, batch * tokens * width, batch * heads * tokens].map(
        (count) => floats(gpu, count),
      ) as [GpuBuffer, GpuBuffer, GpuBuffer];
      const [dq, dk, dv] = [third(gradients, 0), third(gradients, 1), third(gradients, 2)] as const;
      for (const variant of applicableAttention(gpu, shape)) {
        attentionForward(gpu, { ...shape, out, variant });
        attentionForward(gpu, { ...shape, out, lse, variant });
      }
      for (const variant of applicableAttentionGradients(gpu, shape))
        attentionBackward(gpu, { ...shape, out, lse, dOut, dq, dk, dv, variant });
    }
}

/** Every variant of a row-wise kernel, with as many buffers and parameters as its shader declares. */
function rows(gpu: Gpu, family: Family<RowShape, RowLaunch>): void {
  for (const width of [768, 197]) {
    const shape = { rows: 64, width };
    for (const variant of family.variants(gpu, shape))
      for (const constants of switched(variant.sources[0]!)) {
        const code = specialize(variant.sources[0]!, constants);
        const storage = bindingsOf(code).filter(({ type }) => type !== 'uniform');
        const fields = paramsOf(code)?.fields.length ?? 2;
        const buffers = storage.map(() => floats(gpu, shape.rows * width));
        variant.launch(gpu, { buffers, params: Array(fields - 2).fill(0), constants }, shape);
      }
  }
}

const floats = (gpu: Gpu, count: number): GpuBuffer => gpu.pool.allocate(4 * count);

/** All lists of so many numbers, each 0 or 1. */
function everyChoice(count: number): number[][] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_, place) => (bits >> place) & 1),
  );
}

/**
 * Every combination of a shader's switches: of the constants that are 0 or 1 and that it asks for, and of those that a `switch` goes
 * by, directly or in the function they are passed to. Another constant is left as it stands.
 */
export function switched(source: string): Constants[] {
  const whole = resolveIncludes(source);
  const cases = new Set([...whole.matchAll(/\bcase (\w+): /g)].map((found) => found[1])).size;
  let combinations: Constants[] = [{}];
  for (const [, name] of whole.matchAll(/^const (\w+) = [01]u;/gm)) {
    const asked = new RegExp(`//@if ${name}\\s*$|\\b${name} == 1u`, 'm').test(whole);
    const many = cases > 0 && new RegExp(`\\bswitch ${name}\\b|\\(${name}, `).test(whole);
    if (!asked && !many) continue;
    const values = [...Array(asked ? 2 : cases + 1).keys()];
    combinations = combinations.flatMap((chosen) => values.map((value) => ({ ...chosen, [name!]: value })));
  }
  return combinations;
}
