import forwardSource from '../../shaders/attention_rows.wgsl';
import gradientSource from '../../shaders/attention_tile_gradient.wgsl';
import productSource from '../../shaders/attention_tile_product.wgsl';
import type { AttentionBackward, AttentionForward, AttentionShape, Section } from './attention.ts';
import { aligned, attentionDelta, inVec4, maskConstants, scaleOf } from './attention-plain.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

/** What this variant's results depend on. */
export const rowsSources = [forwardSource, gradientSource, productSource];

const forwardKernel = { name: 'attention_rows', source: forwardSource };
const gradientKernel = { name: 'attention_tile_gradient', source: gradientSource };
const productKernel = { name: 'attention_tile_product', source: productSource };

/** Workgroup memory that every adapter has, in bytes, at least. */
const memory = 16384;

/** Keys that a workgroup has room for with 16 rows, or with 8; each size is a pipeline, hence so few. */
const rooms = [256, 512, 1024];

/** Rows a workgroup takes and its room in vec4; undefined where not even 8 rows of `length` scores fit. */
function tiling(gpu: Gpu, length: number): { ROWS: number; HALVES: number; room4: number } | undefined {
  const available = Math.max(memory, gpu.limits.maxComputeWorkgroupStorageSize);
  const room = rooms.find((r) => r >= length);
  if (!room) return undefined;
  const rows = [16, 8].find((r) => r * room * 4 <= available);
  return rows === undefined ? undefined : { ROWS: rows, HALVES: rows / 8, room4: room / 4 };
}

/** Whether both directions can run: subgroups of at least 8, vec4 loads, and rows that fit into workgroup memory. */
export function rowsApply(gpu: Gpu, shape: AttentionShape, sections: readonly Section[]): boolean {
  const { keys } = shape;
  return (
    gpu.has('subgroups') &&
    gpu.adapter.subgroupMin >= 8 &&
    gpu.limits.maxStorageBuffersPerShaderStage >= 9 &&
    aligned(shape, sections) &&
    tiling(gpu, keys) !== undefined
  );
}

/** One workgroup for 16 (or 8) queries of a head, whose scores never leave workgroup memory. */
export function rowsForward(gpu: Gpu, options: AttentionForward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, lse, mask, end } = options;
  const { room4, ...rows } = tiling(gpu, keys)!;
  gpu.run(forwardKernel, {
    constants: { ...maskConstants(options), LSE: Number(Boolean(lse)), ...rows, KEYS4: room4 },
    buffers: [q.buffer, k.buffer, v.buffer, ...(mask === 'tree' ? [end!] : []), out, ...(lse ? [lse] : [])],
    params: [queries, keys, heads, headDim / 4, ...inVec4(q, k, v), f32(scaleOf(options) * Math.LOG2E)],
    groups: [Math.ceil(queries / rows.ROWS), heads, batch],
  });
}

/** P and dS by tiles into memory, then dQ = scale·dS·K, dK = scale·dSᵀ·Q and dV = Pᵀ·dO. */
export function rowsBackward(gpu: Gpu, options: AttentionBackward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, dOut, dq, dk, dv, end, lse } = options;
  const { MASK, TREE } = maskConstants(options);
  const line = Math.ceil(keys / 4);
  const delta = gpu.pool.allocate(batch * heads * queries * 4);
  const p = gpu.pool.allocate(batch * heads * queries * line * 16);
  const dS = gpu.pool.allocate(batch * heads * queries * line * 16);
  attentionDelta(gpu, options, out, dOut, delta);
  gpu.run(gradientKernel, {
    constants: { MASK, TREE },
    buffers: [q.buffer, k.buffer, v.buffer, dOut, lse, delta, ...(TREE ? [end!] : []), p, dS],
    params: [queries, keys, heads, headDim / 4, line, ...inVec4(q, k, v), f32(scaleOf(options) * Math.LOG2E)],
    groups: [Math.ceil(keys / 32), Math.ceil(queries / 16), batch * heads],
  });
  const product = (m: GpuBuffer, transposed: boolean, x: Section, y: Section, scale: number) => {
    const [rows, columns] = transposed ? [keys, queries] : [queries, keys];
    const tree = TREE > 0 && transposed;
    gpu.run(productKernel, {
      constants: {
        TRANSPOSED: Number(transposed),
        UPRIGHT: Number(!transposed),
        UNTIL: Number(MASK > 0 && !transposed),
        FROM: Number(MASK > 0 && transposed),
        TREE: Number(tree),
      },
      buffers: [m, x.buffer, ...(tree ? [end!] : []), y.buffer],
      params: [rows, columns, heads, headDim / 4, line, ...inVec4(x, y), f32(scale)],
      groups: [Math.ceil(headDim / 32), Math.ceil(rows / 16), batch * heads],
    });
  };
  product(dS, false, k, dq, scaleOf(options));
  product(dS, true, q, dk, scaleOf(options));
  product(p, true, { buffer: dOut, offset: 0, stride: heads * headDim }, dv, 1);
  for (const buffer of [delta, p, dS]) gpu.pool.release(buffer);
}
