import { UserError } from '../common/errors.ts';
import { Resources } from '../common/resources.ts';
import { openFeatureCache } from '../features/feature-cache.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { ImageEncoder } from '../features/image-encoder.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { standardizeFeatures } from '../model/feature-scaling.ts';
import { loadClip } from '../model/load-clip.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import type { RunOptions } from '../training/run-kind.ts';
import type { PretrainingSettings } from './settings.ts';
import type { View } from './views.ts';

/** What the loop learns of a teacher. */
export interface Teacher {
  /** Features of every view, each number standardized over the views; null without a teacher. */
  readonly features: Float32Array | null;
  /** Numbers a view. */
  readonly width: number;
}

/**
 * Asks the teacher.
 *
 * @param begin called before the first image is encoded, once the settings have been found to make sense
 * @throws UserError if it takes images of another size, or one cannot be decoded
 */
export async function askTeacher(
  gpu: Gpu,
  views: readonly View[],
  settings: PretrainingSettings,
  { reporter, signal }: RunOptions,
  begin: () => Promise<unknown>,
): Promise<Teacher> {
  if (settings.teacher === '') {
    await begin();
    return { features: null, width: 0 };
  }
  const held = new Resources();
  try {
    const { vision } = held.hold(await loadClip(gpu, settings.teacher, { text: false }));
    const { imageSize } = vision.config;
    if (imageSize !== settings.imageSize)
      throw new UserError(
        `the teacher takes images of ${imageSize} pixels, the model of ${settings.imageSize}`,
        'Pass --image-size of the teacher.',
      );
    const encoder = featureExtractor(vision, await weightsId(settings.teacher), {
      trainer: 'image-only',
      layers: settings.teacherLayers,
      pool: 'stats',
      weightType: 'float32',
    });
    const { width } = encoder;
    await begin();
    const cache = await openFeatureCache(settings.cache, { width, warn: (line) => reporter.line(line) });
    const images = held.hold(new ImageEncoder(gpu, vision, encoder, { batch: settings.encodeBatch, cache }));
    const features = new Float32Array(views.length * width);
    const bar = reporter.bar("the teacher's features", views.length);
    try {
      for await (const result of images.encode(views.map(({ job }) => job))) {
        signal?.throwIfAborted();
        if ('error' in result) throw new UserError(result.error, 'Fix or remove the image.');
        features.set(result.feature, result.index * width);
        bar.advance();
      }
    } finally {
      bar.stop();
    }
    standardizeFeatures(features, width);
    return { features, width };
  } finally {
    await held.release();
  }
}
