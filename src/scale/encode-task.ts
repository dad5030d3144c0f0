import * as v from 'valibot';
import { checkJson } from '../common/json.ts';
import { storageTypes } from '../data/formats/float16.ts';
import { decoderId } from '../data/images/decode.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { ImageEncoder, type ImageTower } from '../features/image-encoder.ts';
import { OnDevice } from '../features/on-device.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { numericsVersion } from '../kernels/device/numerics.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { activations } from '../model/config.ts';
import { loadClip } from '../model/load-clip.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { openClipWeights } from '../model/weights/open-weights.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import type { Plan } from './plan.ts';
import type { TaskKind } from './task.ts';

const encodeSchema = v.object({
  weights: v.string(),
  weightType: v.picklist(storageTypes),
  activation: v.exactOptional(v.picklist(activations)),
  batch: v.number(),
  /** Of a feature, in numbers. */
  width: v.number(),
  featureType: v.picklist(storageTypes),
  /** Whether features are scaled to unit length. */
  normalize: v.exactOptional(v.boolean()),
});

/** Settings of a plan that encodes. */
export type EncodeSettings = v.InferOutput<typeof encodeSchema>;

const settingsOf = ({ settings }: Pick<Plan, 'settings'>): EncodeSettings =>
  checkJson(settings, encodeSchema, 'plan.json, settings');

/** Numbers of an image's feature under these weights. */
export async function featureWidth(weights: string): Promise<number> {
  const opened = await openClipWeights(weightsPath(weights));
  await opened.close();
  const { outputWidth, width } = opened.config.vision;
  return outputWidth ?? width;
}

/** Image features, as `encode --image` writes them. */
export const encodeTask: TaskKind = {
  async identify(plan) {
    const { weights } = settingsOf(plan);
    return { weights: await weightsId(weightsPath(weights)), numerics: numericsVersion, decoder: decoderId };
  },
  columns: () => [],
  async open(gpu, plan) {
    const { weights, weightType, activation, batch } = settingsOf(plan);
    const path = weightsPath(weights);
    const id = await weightsId(path);
    const clip = new OnDevice((device: Gpu) =>
      loadClip(device, path, { weightType, activation, vision: true, text: false }),
    );
    const tower = async (device: Gpu): Promise<ImageTower> => {
      const { vision } = await clip.on(device);
      const feature = { trainer: 'clip-agiqa', layers: '', pool: 'cls', weightType } as const;
      return { vision, encoder: featureExtractor(vision, id, feature) };
    };
    const { vision, encoder } = await recovering(gpu, tower);
    const images = new ImageEncoder(gpu.latest, vision, encoder, { batch, cache: null, reopen: tower });
    return {
      columns: [],
      async *compute(shard) {
        const jobs = shard.map(({ file, name, bytes }) => ({
          ...(bytes ? { path: name, image: bytes } : { path: file }),
          size: images.imageSize,
          transform: { kind: 'test' as const },
        }));
        for await (const result of images.encode(jobs)) {
          const { index } = shard[result.index]!;
          yield 'error' in result ? { index, error: result.error } : { index, feature: result.feature };
        }
      },
      times: () => images.times,
      close: () => images.close(),
    };
  },
};
