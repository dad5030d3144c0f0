import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import { isMasked } from '../device/masks.ts';
import { classOf } from '../device/tuning.ts';
import type { Constants } from '../device/wgsl.ts';
import { type FamilyTrial, family, type Variant } from '../variant.ts';

/** A matrix whose rows are computed each by itself. */
export interface RowShape {
  readonly rows: number;
  readonly width: number;
}

/** What a row-wise kernel is launched with. */
export interface RowLaunch {
  /** In the order of the shader's bindings. */
  readonly buffers: readonly GpuBuffer[];
  /** What follows `rows` and `width` in the shader's Params. */
  readonly params?: readonly number[];
  readonly constants?: Constants;
}

/** How a shader takes the elements of a row, as lib_vectors.wgsl and lib_rows.wgsl declare it. */
export interface RowTiling {
  /** Elements at once, 1 or 4. */
  readonly VEC_SIZE: number;
  /** Rows that the same lanes carry at once. */
  readonly ROWS_PER_TURN: number;
}

export interface RowKernelOptions {
  /** WGSL of the naive variant, a row to a lane; by default the kernel's own, an element at a time. */
  readonly naive?: string;
  /** For a shader that includes lib_vectors.wgsl. */
  readonly tiling?: (gpu: Gpu, shape: RowShape) => RowTiling;
  /** How to time the variants on a GPU; without it the rule of thumb decides there too. */
  readonly trial?: (shape: RowShape) => FamilyTrial<RowShape, RowLaunch>;
}

/** A kernel that {@link rowKernel} declares. */
export interface RowKernel {
  /** Launches the variant that {@link withRowVariant} names, else the one measured to be the fastest, else the default one. */
  run(gpu: Gpu, launch: RowLaunch, shape: RowShape): void;
}

type RowVariant = Variant<RowShape, RowLaunch>;

/** By who owns a row: the number it has in lib_rows.wgsl, and the rows, or turns of rows, of a workgroup. */
const owners = {
  lane: { OWNER: 0, groupRows: 8 },
  subgroup: { OWNER: 1, groupRows: 4 },
  workgroup: { OWNER: 2, groupRows: 1 },
};
type Owner = keyof typeof owners;

/** The variants of every row-wise kernel: the naive one, and one for each owner of a row. */
export const rowVariants: readonly string[] = ['naive', ...Object.keys(owners)];

let forced: string | undefined;

/**
 * Runs `f`, a synchronous function, with this one of {@link rowVariants} of every row-wise kernel in it, as tests and the lab do;
 * undefined leaves the choice to the engine.
 */
export function withRowVariant<T>(variant: string | undefined, f: () => T): T {
  const outer = forced;
  forced = variant;
  try {
    return f();
  } finally {
    forced = outer;
  }
}

/** Lanes of a subgroup that owns a row, whose shader has to know them: the one size there is, or one that can be asked for; else 0. */
export function subgroupLanes(gpu: Gpu): number {
  const { subgroupMin, subgroupMax } = gpu.adapter;
  if (!gpu.has('subgroups') || subgroupMin === 0 || isMasked(gpu.adapter, 'rows', 'subgroup')) return 0;
  if (subgroupMin === subgroupMax) return subgroupMin;
  return gpu.has('subgroup-size-control') ? Math.min(subgroupMax, Math.max(subgroupMin, 32)) : 0;
}
const subgroupsOwn = (gpu: Gpu): boolean => subgroupLanes(gpu) > 0;

/** Rows that are timed, at most: more take longer, not otherwise. */
const mostRows = 8192;

/** Those of {@link rowVariants} that this adapter can run. */
export function applicableRowVariants(gpu: Gpu): string[] {
  return rowVariants.filter((name) => name !== 'subgroup' || subgroupsOwn(gpu));
}

/**
 * A kernel that computes each row of a matrix by itself, from one shader that includes lib_rows.wgsl. A variant is who owns a
 * row: a lane, a subgroup, or a workgroup with shared memory and barriers.
 *
 * By rule subgroups where they can; else a workgroup, or a lane on a software adapter, where barriers cost ten times as much and reads
 * are separate anyway. Kernels with a trial are measured on a GPU, where a subgroup suits many rows and a workgroup few wide ones; on a
 * software adapter lanes take them, which exchange nothing, once there are enough rows to share among its threads: a tenth faster.
 */
export function rowKernel(name: string, source: string, options: RowKernelOptions = {}): RowKernel {
  const { tiling, trial } = options;
  const turnsOf = (gpu: Gpu, shape: RowShape) => shape.rows / (tiling?.(gpu, shape).ROWS_PER_TURN ?? 1);

  const ownerByRule = (gpu: Gpu, shape: RowShape): Owner => {
    const { software } = gpu.adapter;
    if (software && trial && turnsOf(gpu, shape) >= 256) return 'lane';
    if (subgroupsOwn(gpu)) return 'subgroup';
    return software ? 'lane' : 'workgroup';
  };

  const variant = (
    own: Pick<RowVariant, 'name' | 'applies' | 'cost'>,
    owner: Owner,
    wgsl: string,
    tilingOf?: typeof tiling,
  ): RowVariant => {
    const kernel = { name: `${name}_${own.name}`, source: wgsl };
    const { OWNER, groupRows } = owners[owner];
    return {
      sources: [wgsl],
      launch(gpu, launch, shape) {
        const { rows, width } = shape;
        const tile = tilingOf?.(gpu, shape);
        const lanes = owner === 'subgroup' && { LANES: subgroupLanes(gpu) };
        gpu.run(kernel, {
          constants: { OWNER, ...launch.constants, ...tile, ...lanes },
          buffers: launch.buffers,
          params: [rows, width, ...(launch.params ?? [])],
          groups: foldGroups(Math.ceil(rows / groupRows / (tile?.ROWS_PER_TURN ?? 1))),
        });
      },
      ...own,
    };
  };

  const owned = (owner: Owner): RowVariant => {
    const applies = (gpu: Gpu) => owner !== 'subgroup' || subgroupsOwn(gpu);
    const cost = (gpu: Gpu, shape: RowShape) => {
      if (owner === ownerByRule(gpu, shape)) return 0;
      return trial && !gpu.adapter.software && owner !== 'lane' ? 1 : Number.POSITIVE_INFINITY;
    };
    return variant({ name: owner, applies, cost }, owner, source, tiling);
  };

  const naive = variant(
    { name: 'naive', applies: () => true, cost: () => Number.POSITIVE_INFINITY },
    'lane',
    options.naive ?? source,
    options.naive ? undefined : tiling && (() => ({ VEC_SIZE: 1, ROWS_PER_TURN: 1 })),
  );

  const kernels = family({
    name,
    masks: 'rows',
    variants: [naive, ...(Object.keys(owners) as Owner[]).map(owned)],
    key: ({ rows, width }) => `${classOf(rows)}x${width}`,
    trial({ rows, width }) {
      if (!trial) throw new Error(`${name} has no trial`);
      const shape = { rows: Math.min(rows, mostRows), width };
      return { shape, ...trial(shape) };
    },
  });
  return { run: (gpu, launch, shape) => kernels.run(gpu, launch, shape, forced) };
}
