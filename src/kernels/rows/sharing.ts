import { foldGroups, type Gpu } from '../device/gpu.ts';
import type { Kernel } from '../device/pipelines.ts';
import { choose, type Family, sourceVersion, type Trial } from '../device/tuning.ts';
import type { Constants } from '../device/wgsl.ts';

/** Who owns a row in a row-wise kernel: one lane, a subgroup, or a workgroup (shared memory and barriers). */
export type RowSharing = 'lane' | 'subgroup' | 'workgroup';

/** As lib_rows.wgsl numbers them. */
const sharingNumbers: Record<RowSharing, number> = { lane: 0, subgroup: 1, workgroup: 2 };

/** A row-wise kernel in its three variants, from one shader that includes lib_rows.wgsl. */
export interface RowKernel extends Readonly<Record<RowSharing, Kernel>> {
  readonly family: Family;
}

export function rowKernel(name: string, source: string): RowKernel {
  const variant = (sharing: RowSharing) => ({ name: `${name}_${sharing}`, source });
  return {
    lane: variant('lane'),
    subgroup: variant('subgroup'),
    workgroup: variant('workgroup'),
    family: { name, version: sourceVersion(source) },
  };
}

/** The variants this adapter can run. A subgroup can own a row only where all subgroups have one size. */
export function applicableRowSharing(gpu: Gpu): RowSharing[] {
  const { subgroupMin, subgroupMax } = gpu.adapter;
  const fixed = gpu.has('subgroups') && subgroupMin === subgroupMax && subgroupMin > 0;
  return fixed ? ['lane', 'subgroup', 'workgroup'] : ['lane', 'workgroup'];
}

/** Subgroups where they can own rows; else a workgroup, or a lane where barriers are dear and reads are separate anyway. */
function ruleOfThumb(gpu: Gpu): RowSharing {
  if (applicableRowSharing(gpu).includes('subgroup')) return 'subgroup';
  return gpu.adapter.software ? 'lane' : 'workgroup';
}

/**
 * The variant for one shape: the measured one on a GPU, where a subgroup suits many rows and a workgroup few wide ones.
 * A software adapter is spared the measurement: there barriers are ten times dearer, and lanes with rows of their own, which
 * exchange nothing, win by a tenth once there are enough of them to share among its threads.
 */
export function chooseRowSharing(
  gpu: Gpu,
  { family }: RowKernel,
  [rows, width, bundle = 1]: readonly [rows: number, width: number, bundle?: number],
  trial: () => Omit<Trial, 'reference' | 'tolerance'>,
): RowSharing {
  const byRule = ruleOfThumb(gpu);
  if (gpu.adapter.software) return rows / bundle >= 256 ? 'lane' : byRule;
  const variants = applicableRowSharing(gpu).filter((sharing) => sharing !== 'lane');
  return choose(gpu, family, `${rows}x${width}`, variants, byRule, () => ({
    ...trial(),
    reference: 'workgroup',
    tolerance: 1e-4,
  })) as RowSharing;
}

export interface RowLaunch {
  readonly sharing: RowSharing;
  readonly constants: Constants;
  readonly groups: [number, number];
}

const groupRows: Record<RowSharing, number> = { lane: 8, subgroup: 4, workgroup: 1 };

/** How to launch a row-wise kernel over `rows` rows, `bundle` of them side by side. */
export function rowLaunch(gpu: Gpu, rows: number, sharing = ruleOfThumb(gpu), bundle = 1): RowLaunch {
  return {
    sharing,
    constants: {
      SHARING: sharingNumbers[sharing],
      ...(sharing === 'subgroup' && { LANES: gpu.adapter.subgroupMin }),
    },
    groups: foldGroups(Math.ceil(rows / groupRows[sharing] / bundle)),
  };
}

/** Rows to carry at once: a software adapter pays for every turn of a loop, a GPU wants many independent rows instead. */
export function rowBundle(gpu: Gpu, rows: number): number {
  return gpu.adapter.software && rows > 1 ? 2 : 1;
}
