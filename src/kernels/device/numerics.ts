import type { Gpu } from './gpu.ts';
import { sourceVersion, tuned } from './tuning.ts';

/**
 * Version of what the engine computes of given weights and pixels, to the last bit. Raise it with any change after which a
 * feature may differ in one: a kernel's order of summation, a rule that picks another variant for a shape, how images are
 * resized or cropped. Features kept by another version are then computed again.
 */
export const numericsVersion = 2;

/**
 * Names everything about a device by which two computations of the same may differ in their bits: this engine's version, the
 * adapter with its driver and features, and which kernel variants were measured to be the fastest.
 */
export function numericsId(gpu: Gpu): string {
  const {
    vendor,
    architecture,
    name,
    driver,
    features,
    subgroupMin,
    subgroupMax,
    readsTextures,
    profile,
    masked,
  } = gpu.adapter;
  const variants = [...tuned(gpu)].map(([shape, { variant }]) => `${shape} ${variant}`);
  return JSON.stringify([
    numericsVersion,
    [vendor, architecture, name, driver],
    [...features].sort(),
    [subgroupMin, subgroupMax, readsTextures],
    sourceVersion(...variants.sort()),
    ...(profile ? [profile] : []),
    ...(masked ?? []),
  ]);
}
