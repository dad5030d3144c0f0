/**
 * What a data-center GPU would give if a kernel reached its limits: arithmetic on published peaks, no measurement
 * (Williams et al., Roofline, CACM 2009). Time is the larger of operations over peak and bytes over bandwidth, and for a
 * step of many small kernels the host's time to submit them.
 */
import { vitB16 } from './model.ts';

/** Published peaks: float32 outside of matrix units, and memory. */
const devices = [
  { device: 'NVIDIA A100 80 GB', teraflops: 19.5, terabytesPerSecond: 2.0 },
  { device: 'NVIDIA H100 SXM', teraflops: 66.9, terabytesPerSecond: 3.35 },
] as const;

/** Of a captured step: dispatches and microseconds of host time each. */
const host = { dispatches: 275, microseconds: 3 };

export interface Roofline {
  readonly device: string;
  readonly imagesPerSecond: number;
  /** At the share of the peak that good float32 matrix products reach there. */
  readonly imagesPerSecondAtHalf: number;
  readonly stepMilliseconds: { readonly arithmetic: number; readonly memory: number; readonly host: number };
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

/** Both devices, for float32 weights. */
export function rooflines(rows = 35): Roofline[] {
  const { width, layers, mlpWidth } = vitB16.text!;
  // Every weight of the blocks is read forward and backward.
  const bytes = 2 * 4 * layers * (4 * width ** 2 + 2 * width * mlpWidth);
  return devices.map(({ device, teraflops, terabytesPerSecond }) => ({
    device,
    imagesPerSecond: (teraflops * 1e12) / imageOperations(),
    imagesPerSecondAtHalf: (0.5 * teraflops * 1e12) / imageOperations(),
    stepMilliseconds: {
      arithmetic: textStepOperations(rows) / teraflops / 1e9,
      memory: bytes / terabytesPerSecond / 1e9,
      host: (host.dispatches * host.microseconds) / 1000,
    },
  }));
}
