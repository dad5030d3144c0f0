import type { Gpu } from '../src/kernels/device/gpu.ts';
import { defaultTuneChoice, tune, tunes } from '../src/kernels/device/tuning.ts';

/**
 * Where kernels are chosen by measurement, as on GPUs: does these once, and measures the variants of the shapes that they met, so
 * that what is timed afterwards is what a run computes with.
 */
export async function tuneFirst(gpu: Gpu, ways: Iterable<() => void>): Promise<void> {
  if (!tunes(gpu, defaultTuneChoice())) return;
  for (const way of ways) way();
  await gpu.finish();
  await tune(gpu);
}
