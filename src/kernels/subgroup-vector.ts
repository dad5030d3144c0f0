import type { Gpu } from './device/gpu.ts';

/**
 * Whether a subgroup is about a vector register of a processor, for the kernels that work with its first eight lanes alone. Where
 * subgroups have 32 lanes or more, three quarters would idle, and what eight lanes keep in registers does not fit into those of one:
 * RADV's compiler moves 24 to 40 KB of three of these kernels to memory.
 */
export function subgroupIsVector(gpu: Gpu): boolean {
  const { subgroupMin } = gpu.adapter;
  return gpu.has('subgroups') && subgroupMin >= 8 && subgroupMin < 32;
}
