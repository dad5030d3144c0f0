import type { Reporter } from '../common/reporter.ts';
import { type DatasetFeatures, encodeDataset } from '../features/dataset-features.ts';
import { openFeatureCache } from '../features/feature-cache.ts';
import { cropsOf } from '../features/feature-extractor.ts';
import { type FeatureExtractor, ImageEncoder, type UnreadableImage } from '../features/image-encoder.ts';
import { OnlineFeatures } from '../features/online-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Clip } from '../model/clip.ts';
import { versionsOf } from './create-learner.ts';
import type { Run, RunRecord } from './open-run.ts';

/** The image tower as a run's settings have it encode, with the feature cache. */
export async function openImages(
  gpu: Gpu,
  { vision }: Clip,
  encoder: FeatureExtractor,
  { settings, options }: Run<RunRecord>,
): Promise<ImageEncoder> {
  // New crops every step would fill it and never be looked up again.
  const drawnAnew = settings.augment === 'crop' && settings.views === 0;
  const cache = await openFeatureCache(drawnAnew ? 'none' : settings.cache, {
    width: encoder.width,
    type: settings.cacheType,
    warn: (line) => options.reporter.line(line),
  });
  return new ImageEncoder(gpu, vision, encoder, { batch: settings.encodeBatch, cache, tune: settings.tune });
}

/**
 * The features of a run's images, as far as they are known before training.
 *
 * @throws UserError if other images than before can be decoded, of a run that is resumed
 */
export async function encodeRun(run: Run<RunRecord>, images: ImageEncoder): Promise<DatasetFeatures> {
  const { saved, settings, dataset, options } = run;
  if (!run.features) {
    const { train, val, test } = dataset.split;
    const learns = settings.trainer !== 'zero-shot';
    // The views of a run that was extended stay those it began with.
    const epochs = saved.last?.state.plan?.[0]?.epochs ?? settings.epochs;
    run.features = await encodeDataset(
      images,
      dataset,
      { trained: learns ? train : new Int32Array(), centered: Int32Array.from([...val, ...test]) },
      { ...settings, crops: cropsOf(settings), versions: versionsOf(settings), epochs },
      { reporter: options.reporter, signal: options.signal, soFar: run.encoded },
    );
    const { encoded, cached } = images.counters;
    options.reporter.line(`features   ${encoded} encoded, ${cached} from the cache`);
    const { unreadable } = run.features;
    reportUnreadable(unreadable, options.reporter);
    const names = [...unreadable.keys()].map((sample) => dataset.samples[sample]!.name);
    saved.identify({ ...run.data, unreadable: names.sort() });
  }
  if (!(run.features.train instanceof OnlineFeatures)) return run.features;
  return { ...run.features, train: new OnlineFeatures(images, dataset.samples, settings.seed) };
}

function reportUnreadable(unreadable: ReadonlyMap<number, UnreadableImage>, reporter: Reporter): void {
  if (unreadable.size === 0) return;
  reporter.line(`skipped    ${unreadable.size} unreadable image${unreadable.size === 1 ? '' : 's'}:`);
  for (const { error } of unreadable.values()) reporter.line(`           ${error}`);
}
