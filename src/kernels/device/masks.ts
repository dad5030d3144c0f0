import type { AdapterDescription } from './adapter-description.ts';

/**
 * What an adapter is found to do wrong is masked: the engine goes on as if the adapter lacked it. A word is an optional feature,
 * `texture-reads`, `halves` (weights are then stored as float32), or a class of kernel variants such as `matmul tile`.
 */

/** The adapter without what is masked. */
export function withoutMasked(adapter: AdapterDescription, masked: readonly string[]): AdapterDescription {
  if (masked.length === 0) return adapter;
  return {
    ...adapter,
    ...(masked.includes('subgroups') && { subgroupMin: 0, subgroupMax: 0 }),
    features: adapter.features.filter((feature) => !maskedFeature(masked, feature)),
    readsTextures: adapter.readsTextures && !masked.includes('texture-reads'),
    masked: [...masked].sort(),
  };
}

/** Without subgroups none has a size. */
export const maskedFeature = (masked: readonly string[], feature: string): boolean =>
  masked.includes(feature) || (feature === 'subgroup-size-control' && masked.includes('subgroups'));

/** A variant's class: what it is called without its sizes, as `tile` of `tile64x128`. */
export const classOfVariant = (name: string): string => /^[a-z_]+/.exec(name)?.[0] ?? name;

/** Whether the variants of this class of a kernel are masked on an adapter. */
export const isMasked = ({ masked }: AdapterDescription, kernel: string, variant: string): boolean =>
  masked?.includes(`${kernel} ${classOfVariant(variant)}`) ?? false;
