import { ImageLoader } from '../data/images/loader.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { Scorer } from '../scoring/scorer.ts';
import { overlaidPicture } from './overlay.ts';

/** Side in pixels: half of a gallery's thumbnails, as a map has no finer detail. */
const side = 144;

/**
 * Pictures of what in images raises the score by a trained model, and what lowers it, as data URLs by their paths. An image
 * that cannot be read has none.
 *
 * @param model folder of a finished run
 * @throws UserError if the model, or its weights, cannot be opened, or if it does not score
 */
export async function relevancePictures(
  gpu: Gpu,
  model: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const scorer = await Scorer.load(gpu, model);
  const loader = new ImageLoader();
  try {
    const size = scorer.pixels.imageSize;
    const jobs = paths.map((path) => ({ path, size, transform: { kind: 'test' as const } }));
    for await (const loaded of loader.load(jobs)) {
      if ('error' in loaded) continue;
      const { relevance } = await scorer.pixels.explain(loaded.pixels);
      found.set(paths[loaded.index]!, await overlaidPicture(loaded.pixels, relevance, side));
    }
  } finally {
    await loader.close();
    await scorer.close();
  }
  return found;
}
