import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import { openFeatureCache } from '../features/feature-cache.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { ImageEncoder } from '../features/image-encoder.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { Clip } from '../model/clip.ts';
import { featureStatistics } from '../model/feature-scaling.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import type { PretrainingSettings } from './settings.ts';
import type { View } from './views.ts';

/**
 * The teacher's features of every view, each number standardized over the views.
 *
 * @param ready called before the first image is encoded, once the settings have been found to make sense
 */
export async function teacherFeatures(
  gpu: Gpu,
  views: readonly View[],
  settings: PretrainingSettings,
  reporter: Reporter,
  ready: () => Promise<unknown>,
  signal?: AbortSignal,
): Promise<{ teacher: Float32Array | null; teacherWidth: number }> {
  if (settings.teacher === '') {
    await ready();
    return { teacher: null, teacherWidth: 0 };
  }
  const clip = await Clip.load(gpu, settings.teacher, { text: false });
  try {
    const { imageSize } = clip.vision.config;
    if (imageSize !== settings.imageSize)
      throw new UserError(
        `the teacher takes images of ${imageSize} pixels, the model of ${settings.imageSize}`,
        'Pass --image-size of the teacher.',
      );
    const encoder = featureExtractor(clip.vision, await weightsId(settings.teacher), {
      trainer: 'image-only',
      layers: settings.teacherLayers,
      pool: 'stats',
      weightType: 'float32',
    });
    const { width } = encoder;
    await ready();
    const cache = await openFeatureCache(settings.cache, { width, warn: (line) => reporter.line(line) });
    const images = new ImageEncoder(gpu, clip.vision, encoder, { batch: settings.encodeBatch, cache });
    const teacher = new Float32Array(views.length * width);
    const bar = reporter.bar("the teacher's features", views.length);
    try {
      for await (const result of images.encode(views.map(({ job }) => job))) {
        signal?.throwIfAborted();
        if ('error' in result) throw new UserError(result.error, 'Fix or remove the image.');
        teacher.set(result.feature, result.index * width);
        bar.advance();
      }
    } finally {
      bar.stop();
      await images.close();
    }
    standardize(teacher, width);
    return { teacher, teacherWidth: width };
  } finally {
    clip.dispose();
  }
}

/** Shifts and scales each column of rows of `width` to mean 0 and standard deviation 1, in place. */
export function standardize(rows: Float32Array, width: number): void {
  const { mean, std } = featureStatistics([rows], width);
  for (let i = 0; i < rows.length; i++) rows[i] = (rows[i]! - mean[i % width]!) / (std[i % width]! || 1);
}
