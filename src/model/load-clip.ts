import type { Gpu } from '../kernels/device/gpu.ts';
import { Clip, type ClipOptions } from './clip.ts';
import { openClipWeights } from './weights/open-weights.ts';

/** Loads a model from any file or folder that {@link openClipWeights} knows. */
export async function loadClip(gpu: Gpu, path: string, options: ClipOptions = {}): Promise<Clip> {
  const weights = await openClipWeights(path, { activation: options.activation });
  try {
    return await Clip.from(gpu, weights, options);
  } finally {
    await weights.close();
  }
}
