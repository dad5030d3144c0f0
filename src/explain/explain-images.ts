import type { Reporter } from '../common/reporter.ts';
import { type ImageJob, ImageLoader } from '../data/images/loader.ts';
import { type Curve, curvesOf, degradations } from './curves.ts';
import {
  type CheckedExplanation,
  type Explainable,
  type ExplainOptions,
  explainImage,
} from './explain-image.ts';

/** An image that was scored. */
export interface ScoredFile {
  readonly path: string;
  readonly score: number;
}

/** A scored image with all that is known of its score. */
export interface ExplainedImage extends ScoredFile, CheckedExplanation {
  /** As the model takes it. */
  readonly pixels: Uint8Array;
  readonly curves: readonly Curve[];
}

export interface ExplainImagesOptions extends ExplainOptions {
  /** Turns images as their EXIF orientation says. */
  readonly exif?: boolean | undefined;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Explains images one after the other; what cannot be read any more is reported and left out. */
export async function* explainImages(
  model: Explainable & { readonly imageSize: number },
  images: readonly ScoredFile[],
  { exif = false, reporter, signal, ...options }: ExplainImagesOptions,
): AsyncGenerator<ExplainedImage, void, undefined> {
  const perImage = 1 + degradations.length;
  const loader = new ImageLoader({ ahead: perImage });
  const bar = reporter.bar('explaining', images.length);
  try {
    // The image as it is and its distorted forms follow each other, so that its file is decoded once.
    const plain = ({ path }: ScoredFile): ImageJob => ({
      path,
      size: model.imageSize,
      autoOrient: exif,
      transform: { kind: 'test' },
    });
    const jobs = images.flatMap((image) => [
      plain(image),
      ...degradations.map((degradation) => ({ ...plain(image), degradation })),
    ]);
    let pixels: Uint8Array[] = [];
    let error: string | undefined;
    for await (const loaded of loader.load(jobs)) {
      if (signal.aborted) return;
      if ('error' in loaded) error ??= loaded.error;
      else pixels.push(loaded.pixels);
      if ((loaded.index + 1) % perImage !== 0) continue;
      const image = images[Math.floor(loaded.index / perImage)]!;
      if (error !== undefined) reporter.line(`skipped    ${error}`);
      else {
        const [whole, ...distorted] = pixels as [Uint8Array, ...Uint8Array[]];
        const checked = await explainImage(model, whole, options);
        const curves = curvesOf(await model.score(distorted));
        yield { ...image, ...checked, pixels: whole, curves };
      }
      bar.advance();
      [pixels, error] = [[], undefined];
    }
  } finally {
    bar.stop();
    await loader.close();
  }
}

/** At most `count` of the images, evenly spread from the worst score to the best, in the order of the scores. */
export function spreadByScore<T extends ScoredFile>(images: readonly T[], count: number): readonly T[] {
  const sorted = [...images].sort((a, b) => a.score - b.score);
  if (sorted.length <= count) return sorted;
  const at = (i: number) => Math.round((i * (sorted.length - 1)) / Math.max(1, count - 1));
  return Array.from({ length: count }, (_, i) => sorted[at(i)]!);
}
