import type { Gpu } from '../src/kernels/device/gpu.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';

let opened: Promise<Gpu> | undefined;

/** The device that all test files of a worker share, with its compiled pipelines. */
export function sharedGpu(): Promise<Gpu> {
  return (opened ??= openGpu());
}
