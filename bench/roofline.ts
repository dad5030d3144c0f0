/**
 * What GPUs would give by arithmetic, no measurement: published peaks (Williams et al., Roofline, CACM 2009), less what the code that
 * RADV's compiler makes of our kernels leaves of them (docs/gpu-compilers.md), and for a step, in which each small kernel waits for the
 * one before, the waiting: a launch after the other, and in each product one load of memory after the other.
 */
import { vitB16 } from './model.ts';
import radv from './results/gpu-compilers/radv.json' with { type: 'json' };

interface Device {
  readonly device: string;
  /** Float32 outside of matrix units. */
  readonly teraflops: number;
  readonly terabytesPerSecond: number;
  /** As the compiler knows it; null: it does not, and the least of all families stands in. */
  readonly family: string | null;
}

/** Published peaks. */
const devices: readonly Device[] = [
  { device: 'AMD MI300X', teraflops: 81.7, terabytesPerSecond: 5.3, family: 'gfx940' },
  { device: 'AMD RX 7900 XTX', teraflops: 61.4, terabytesPerSecond: 0.96, family: 'navi31' },
  { device: 'AMD RX 6900 XT', teraflops: 23.0, terabytesPerSecond: 0.512, family: 'navi21' },
  { device: 'NVIDIA A100 80 GB', teraflops: 19.5, terabytesPerSecond: 2.0, family: null },
  { device: 'NVIDIA H100 SXM', teraflops: 66.9, terabytesPerSecond: 3.35, family: null },
];

/** Of a captured step: dispatches, and microseconds of the host and from launch to launch on the device for each. */
const step = { dispatches: 251, host: 3, launch: 3 };
/** Microseconds until a load from memory is there, and the steps of k that the kernel for few rows loads at once. */
const load = { microseconds: 0.8, steps: 256 };

export interface Roofline {
  readonly device: string;
  /** Of the vector instructions in the inner loop of the large tile those that multiply and add: no more of the peak can be had. */
  readonly share: number;
  readonly imagesPerSecond: number;
  readonly stepMilliseconds: {
    readonly operations: number;
    readonly weights: number;
    readonly launches: number;
    readonly loads: number;
    readonly host: number;
    /** The host's, or the device's: waiting, and the longer of operations and weights. */
    readonly whole: number;
  };
}

/** Operations (2 a multiply-add) of one image through the image tower; the last block for the class token alone. */
export function imageOperations(): number {
  const { width, layers, mlpWidth, imageSize, patchSize } = vitB16.vision;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const block = 2 * tokens * (4 * width ** 2 + 2 * width * mlpWidth) + 4 * tokens ** 2 * width;
  const last = 2 * tokens * 2 * width ** 2 + 2 * (2 * width ** 2 + 2 * width * mlpWidth) + 4 * tokens * width;
  return 2 * patches * 3 * patchSize ** 2 * width + (layers - 1) * block + last;
}

/** Operations of a training step's text side on `rows` rows, forward and the gradient by the rows. */
export function textStepOperations(rows: number): number {
  const { width, layers, mlpWidth } = vitB16.text!;
  return 2 * layers * (2 * rows * (4 * width ** 2 + 2 * width * mlpWidth) + 4 * rows ** 2 * width);
}

/** Loads that wait for one another in the products of a step: of every layer four, and the gradients by their inputs. */
export function loadsInSequence(): number {
  const { width, layers, mlpWidth } = vitB16.text!;
  const depths = [width, width, width, mlpWidth, 3 * width, width, mlpWidth, width];
  return layers * depths.reduce((sum, k) => sum + Math.ceil(k / load.steps), 0);
}

/** The share of multiply-adds that the compiler reaches in a kernel, 0 to 1. */
function shareOf(kernel: string, form: string, family: string | null): number {
  const row = radv.rows.find((one) => one.kernel === kernel && one.form === form);
  const shares = (row?.families ?? []).flatMap((one) =>
    one.share !== null && (family === null || one.family === family) ? [one.share / 100] : [],
  );
  if (shares.length === 0) throw new Error(`the compilers' figures have no ${kernel} ${form} of ${family}`);
  return Math.min(...shares);
}

/** All devices, for float32 weights. */
export function rooflines(rows = 35): Roofline[] {
  const { width, layers, mlpWidth } = vitB16.text!;
  // Every weight of the blocks is read forward and backward.
  const bytes = 2 * 4 * layers * (4 * width ** 2 + 2 * width * mlpWidth);
  return devices.map(({ device, teraflops, terabytesPerSecond, family }) => {
    const share = shareOf('matmul_tile', '128 x 128', family);
    const few = shareOf('matmul_few', '', family);
    const operations = textStepOperations(rows) / (few * teraflops) / 1e9;
    const weights = bytes / terabytesPerSecond / 1e9;
    const launches = (step.dispatches * step.launch) / 1000;
    const loads = (loadsInSequence() * load.microseconds) / 1000;
    const host = (step.dispatches * step.host) / 1000;
    const whole = Math.max(host, launches + loads + Math.max(operations, weights));
    return {
      device,
      share,
      imagesPerSecond: (share * teraflops * 1e12) / imageOperations(),
      stepMilliseconds: { operations, weights, launches, loads, host, whole },
    };
  });
}
