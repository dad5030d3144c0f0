import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { isMasked } from './device/masks.ts';
import type { TrialPart } from './device/trial.ts';
import { choose, sourceVersion, type Trial } from './device/tuning.ts';

/**
 * One way to compute what a kernel computes. A shape is whatever decides which ways are open and which is fastest; the arguments
 * are buffers and what else a launch needs. To add a variant, write one and put it on its family's list: the tuner, the tests and
 * the lab find it there.
 */
export interface Variant<Shape, Args> {
  readonly name: string;
  /** The WGSL it launches. What was measured of a family holds until one of its variants' sources changes. */
  readonly sources: readonly string[];
  /** Whether it gives the right result for this shape on this adapter. */
  applies(gpu: Gpu, shape: Shape): boolean;
  /**
   * The rule of thumb where nothing was measured: of the variants that apply, the cheapest runs, the first of equals. Only
   * compared with the other costs on the same adapter; 1 if left out. Infinity: not worth a measurement either.
   */
  cost?(gpu: Gpu, shape: Shape): number;
  /** Records its dispatches; called only where it applies. */
  launch(gpu: Gpu, args: Args, shape: Shape): void;
}

/** How to time the variants for one shape on scratch buffers. */
export interface FamilyTrial<Shape, Args> extends Pick<Trial, 'inputs' | 'output'> {
  /** The shape to launch, if another than the one asked for. */
  readonly shape?: Shape;
  /**
   * What the naive variant computes to check the others, where the whole would take it long: a smaller shape, and what it is part of.
   * It is then not timed either.
   */
  readonly part?: { readonly shape: Shape } & Pick<TrialPart, 'inputs' | 'runs'>;
  args(inputs: readonly GpuBuffer[], output: GpuBuffer): Args;
}

export interface FamilyDeclaration<Shape, Args> {
  readonly name: string;
  /** The kernels whose classes of variants a self-check masks together; by default this one alone. */
  readonly masks?: string;
  /** The first is the naive one, which any other is held to before it is timed: it computes every shape there is a trial of. */
  readonly variants: readonly Variant<Shape, Args>[];
  /** A shape in a few words: what was measured of one holds for all with the same key. */
  key(shape: Shape): string;
  trial(shape: Shape): FamilyTrial<Shape, Args>;
}

/** A kernel with its variants. */
export interface Family<Shape, Args> {
  readonly name: string;
  /** Of all variants. */
  readonly names: readonly string[];
  /** The WGSL of all variants. */
  readonly sources: ReadonlySet<string>;
  /** Those that apply. */
  variants(gpu: Gpu, shape: Shape): Variant<Shape, Args>[];
  /** The variant measured to be the fastest on this adapter, else the cheapest by rule. */
  choose(gpu: Gpu, shape: Shape): Variant<Shape, Args>;
  /** Launches the chosen variant, or the one named; throws if that does not apply. */
  run(gpu: Gpu, args: Args, shape: Shape, variant?: string): void;
}

/** Every kernel with variants, in the order in which modules declared them, for what goes through all of them. */
export const families: Family<never, never>[] = [];

/** Largest difference from the naive variant, relative to its largest magnitude, that is put down to the order of summation. */
const tolerance = 1e-4;

export function family<Shape, Args>(declared: FamilyDeclaration<Shape, Args>): Family<Shape, Args> {
  const { name: kernel, masks = kernel, variants: all, key, trial } = declared;
  const byName = new Map(all.map((variant) => [variant.name, variant]));
  if (byName.size < all.length) throw new Error(`${kernel} has two variants with the same name`);
  const sources = new Set(all.flatMap((variant) => variant.sources));
  const version = sourceVersion(...sources);
  const tuned = { name: kernel, version };
  const names = [...byName.keys()];

  const applies = (variant: Variant<Shape, Args>, gpu: Gpu, shape: Shape) =>
    !isMasked(gpu.adapter, masks, variant.name) && variant.applies(gpu, shape);
  const applying = (gpu: Gpu, shape: Shape) => all.filter((variant) => applies(variant, gpu, shape));

  const trialOf = (gpu: Gpu, asked: Shape): Trial => {
    const { inputs, output, shape = asked, part, args } = trial(asked);
    const small = part && trial(part.shape);
    return {
      inputs,
      output,
      reference: names[0]!,
      tolerance,
      part: part &&
        small && {
          inputs: part.inputs,
          runs: part.runs,
          output: small.output,
          run: (buffers, out) => all[0]!.launch(gpu, small.args(buffers, out), small.shape ?? part.shape),
        },
      run: (name, buffers, out) => byName.get(name)!.launch(gpu, args(buffers, out), shape),
    };
  };

  const chosen = (gpu: Gpu, shape: Shape): Variant<Shape, Args> => {
    const candidates: string[] = [];
    let [cheapest, least] = [undefined as Variant<Shape, Args> | undefined, Number.POSITIVE_INFINITY];
    for (const variant of all) {
      if (!applies(variant, gpu, shape)) continue;
      const cost = variant.cost?.(gpu, shape) ?? 1;
      // Better than none, where those that are worth it are masked.
      if (cost === Number.POSITIVE_INFINITY) cheapest ??= variant;
      if (cost === Number.POSITIVE_INFINITY) continue;
      candidates.push(variant.name);
      if (cost < least) [cheapest, least] = [variant, cost];
    }
    if (!cheapest) throw new Error(`${kernel}: no variant applies to ${key(shape)} on ${gpu.adapter.name}`);
    return byName.get(choose(gpu, tuned, key(shape), candidates, cheapest.name, () => trialOf(gpu, shape)))!;
  };

  const named = (gpu: Gpu, shape: Shape, name: string): Variant<Shape, Args> => {
    const variant = byName.get(name);
    if (!variant) throw new Error(`${kernel} has no variant ${name}; it has: ${names.join(', ')}`);
    if (applies(variant, gpu, shape)) return variant;
    const others = applying(gpu, shape).map((other) => other.name);
    throw new Error(
      `${kernel}: variant ${name} does not apply to ${key(shape)} on ${gpu.adapter.name}; these do: ${others.join(', ')}`,
    );
  };

  const declaredFamily: Family<Shape, Args> = {
    name: kernel,
    names,
    sources,
    variants: applying,
    choose: chosen,
    run(gpu, args, shape, name) {
      const variant = name === undefined ? chosen(gpu, shape) : named(gpu, shape, name);
      variant.launch(gpu, args, shape);
    },
  };
  families.push(declaredFamily);
  return declaredFamily;
}
