/**
 * A recorded training step as it is kept: what the page shows, `--json` writes and `--table` prints. Times are nanoseconds and
 * measured; operations and bytes are counted from the shapes (`//@work` in each shader); what else is modeled says so.
 */

/** What a recording begins with, and which version of it this is. */
export const stepFormat = 'clip-agiqa-webgpu training step';
export const stepVersion = 1;

/** Where something was asked for: a place in the source. */
export interface Frame {
  readonly fn: string;
  /** From the project's folder, with forward slashes. */
  readonly file: string;
  readonly line: number;
}

export type Phase = 'forward' | 'backward' | 'update';

/** A tensor as an op sees it. */
export interface TensorRef {
  readonly id: number;
  readonly shape: readonly number[];
  readonly type: string;
  readonly storage: number;
}

/** An op of the model, or the gradient of one. */
export interface OpRecord {
  readonly kind: 'forward' | 'gradient';
  readonly name: string;
  /** The part of the model, as in `text.blocks.3.mlp.c_fc`; may be ''. */
  readonly part: string;
  /** Null where an optional input was left out; of a gradient those of its op. */
  readonly inputs: readonly (TensorRef | null)[];
  /** Which inputs depend on a parameter; no gradient is computed for the others. */
  readonly needs: readonly boolean[];
  /** The output, or a gradient for each input that needs one. */
  readonly outputs: readonly (TensorRef | null)[];
  /** Of a gradient: the number of its op. */
  readonly of: number | null;
  /** Whether it is on the tape: a gradient will be computed. */
  readonly taped: boolean;
  /** Index into `stacks`. */
  readonly stack: number;
}

/** A buffer or texture as a dispatch binds it. */
export interface Use {
  readonly storage: number;
  readonly access: 'read' | 'write';
  /** As much as was asked for. */
  readonly bytes: number;
  /** Its name in the shader. */
  readonly label: string;
}

export interface DispatchRecord {
  /** The op that it is of; -1: none, such as an optimizer's or the tape's sums of gradients. */
  readonly op: number;
  readonly phase: Phase;
  readonly part: string;
  readonly kernel: string;
  /** Index into `shaders`. */
  readonly shader: number;
  readonly constants: Readonly<Record<string, number | string>>;
  /** The numbers of the uniform block. */
  readonly params: Readonly<Record<string, number>>;
  readonly groups: readonly [number, number, number];
  readonly uses: readonly Use[];
  /** Counted; null where the shader does not say. */
  readonly operations: number | null;
  readonly bytes: number | null;
  readonly stack: number;
  /** Measured: the median over `rounds` replays, and the extremes. */
  readonly ns: number;
  readonly least: number;
  readonly most: number;
  /** How often it ran between two timestamps, of which these are the mean: more than once where the clock is coarse. */
  readonly repeats?: number;
}

export interface CopyRecord {
  /** How many dispatches came before it. */
  readonly at: number;
  readonly op: number;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** Storage allocated from the pool within the step. */
export interface Lifetime {
  readonly storage: number;
  readonly bytes: number;
  /** Bytes as size classes. */
  readonly capacity: number;
  /** Numbers of dispatches before which it was allocated and released; null: it outlives the step. */
  readonly from: number;
  readonly to: number | null;
  readonly op: number;
}

/** Storage that was there before the step: weights, inputs, optimizer state. */
export interface Resident {
  readonly storage: number;
  readonly name: string;
  readonly bytes: number;
  readonly kind: 'weight' | 'parameter' | 'optimizer' | 'input' | 'other';
}

/** What an op made, as a picture and figures. */
export interface Values {
  readonly shape: readonly number[];
  readonly count: number;
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
  readonly nan: number;
  readonly infinite: number;
  /** Of zeros. */
  readonly zeros: number;
  /** Counts in equal parts of [min, max]. */
  readonly histogram: readonly number[];
  /** Base64 of width x height bytes: 128 is 0, 0 and 255 are ∓`top`; evenly spread elements of a larger tensor. */
  readonly pixels: string;
  readonly width: number;
  readonly height: number;
  readonly top: number;
  /** Largest difference from the op computed in float64 of the same inputs, relative to the largest value; null: not compared. */
  readonly error: number | null;
}

/** Work that is not there, and why. */
export interface Ghost {
  readonly what: string;
  readonly why: string;
  /** `counted`: of the spared work itself; `modeled`: from what is there. */
  readonly basis: 'counted' | 'modeled' | 'measured';
  readonly how: string;
  readonly operations: number;
  readonly bytes: number | null;
  readonly dispatches: number | null;
  /** What it would take at the ceilings of this run; modeled. */
  readonly ns: number;
  /** The part of the model it would be in. */
  readonly part: string;
  readonly phase: Phase;
}

export interface StepData {
  readonly format: typeof stepFormat;
  readonly version: typeof stepVersion;
  readonly title: string;
  /** ISO 8601. */
  readonly made: string;
  readonly package: string;
  readonly command: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly batch: number;
  readonly loss: number;
  readonly adapter: {
    readonly name: string;
    readonly driver: string;
    readonly software: boolean;
    readonly features: readonly string[];
  };
  /** Smallest difference between two timestamps seen, nanoseconds: where it is coarse, dispatches were repeated. */
  readonly resolution: number;
  /** Best of several runs before and after the step. */
  readonly ceilings: { readonly gflops: number; readonly copyGBs: number };
  readonly rounds: number;
  readonly times: {
    /** Nanoseconds of a replayed step from submission to completion: median, least. */
    readonly wall: number;
    readonly wallLeast: number;
    /** Of it the host's part, to encode and submit. */
    readonly host: number;
    /** From the first to the last timestamp of a profiled step: each dispatch is a pass of its own. */
    readonly profiled: number;
  };
  readonly ops: readonly OpRecord[];
  readonly dispatches: readonly DispatchRecord[];
  readonly copies: readonly CopyRecord[];
  readonly lifetimes: readonly Lifetime[];
  readonly residents: readonly Resident[];
  readonly shaders: readonly { readonly kernel: string; readonly wgsl: string }[];
  readonly frames: readonly Frame[];
  /** Indices of frames, outermost first. */
  readonly stacks: readonly (readonly number[])[];
  /** Source files that frames are in, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** By op; null where nothing was read. Of a gradient the first that is not null. */
  readonly values: readonly (Values | null)[];
  readonly ghosts: readonly Ghost[];
}
