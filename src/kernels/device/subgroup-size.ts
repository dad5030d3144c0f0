import { integerConstant } from './wgsl.ts';

/** The sizes of subgroup that an adapter takes where a shader says which it wants. */
export interface SubgroupSizes {
  readonly min: number;
  readonly max: number;
}

/**
 * A shader says with `@subgroup_size(N)` what its subgroups are made of. Where the adapter lets a shader choose, and has that size, it stays:
 * subgroups are then of that size and full, whatever else the driver might choose. Elsewhere it goes, and the launcher answers for
 * what the adapter has.
 */
export function withSubgroupSize(code: string, sizes: SubgroupSizes | undefined): string {
  const found = /@subgroup_size\((\w+)\)\s*/.exec(code);
  if (!found) return code;
  const size = integerConstant(code, found[1]!);
  if (sizes && size >= sizes.min && size <= sizes.max) return `enable subgroup_size_control;\n${code}`;
  return code.replace(found[0], '');
}
