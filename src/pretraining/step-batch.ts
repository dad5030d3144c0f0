import { keep } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { LoadedImage } from '../data/images/loader.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { qualityWords } from '../model/agiqa.ts';
import type { PretrainingSettings } from './settings.ts';
import type { StepInputs } from './step.ts';
import type { Teacher } from './teacher.ts';
import type { CaptionTokens } from './tokens.ts';
import type { View } from './views.ts';

/** What the loop learns from, by view. */
export interface PretrainingData {
  readonly views: readonly View[];
  readonly tokens: CaptionTokens;
  readonly teacher: Teacher;
}

type BatchSettings = Pick<PretrainingSettings, 'batchSize' | 'chunkSize' | 'imageSize'>;

/** The batch that a step reads, on the GPU: one set of buffers, written before each step. */
export class StepBatch {
  readonly inputs: StepInputs;
  readonly #data: PretrainingData;
  readonly #settings: BatchSettings;

  constructor(gpu: Gpu, data: PretrainingData, settings: BatchSettings) {
    this.inputs = createInputs(gpu, data, settings);
    this.#data = data;
    this.#settings = settings;
  }

  /** Writes a batch: the next images of the stream, which come in the order of its views, and what is said of them. */
  async load(batch: Int32Array, images: AsyncIterator<LoadedImage>): Promise<void> {
    const { imageSize, batchSize } = this.#settings;
    const { tokens, teacher, views } = this.#data;
    const { chunks, targets } = this.inputs;
    const size = batchSize / chunks.length;
    const bytes = imageSize ** 2 * 3;
    for (const [i, { pixels, ids, eot }] of chunks.entries()) {
      const staged = new Uint8Array(size * bytes);
      for (let j = 0; j < size; j++) staged.set(await nextPixels(images), j * bytes);
      pixels.write(new Uint32Array(staged.buffer));
      const { rows, ends } = tokens.batch(batch.subarray(i * size, (i + 1) * size), eot.size > size);
      ids.write(rows);
      eot.write(ends);
    }
    const { features, width } = teacher;
    if (targets.teacher && features) {
      const wanted = new Float32Array(batchSize * width);
      for (const [i, view] of batch.entries())
        wanted.set(features.subarray(view * width, (view + 1) * width), i * width);
      targets.teacher.write(wanted);
    }
    targets.quality?.views.write(Float32Array.from(batch, (view) => views[view]!.quality!));
  }

  dispose(): void {
    const { chunks, targets } = this.inputs;
    const { own, teacher, quality } = targets;
    for (const { pixels, ids, eot } of chunks) for (const tensor of [pixels, ids, eot]) tensor.dispose();
    for (const tensor of [own, teacher, quality?.views, quality?.words]) tensor?.dispose();
  }
}

/** The buffers that a captured step reads, for batches of `batchSize` views. */
function createInputs(
  gpu: Gpu,
  { tokens, views, teacher }: PretrainingData,
  { batchSize, chunkSize, imageSize }: BatchSettings,
): StepInputs {
  const size = Math.min(chunkSize, batchSize);
  const count = batchSize / size;
  const scored = views.every(({ quality }) => quality !== null);
  const empty = (shape: number[], type: 'f32' | 'u32') => keep(Tensor.empty(gpu, shape, type));
  const filled = (values: Float32Array | Uint32Array) => keep(Tensor.from(gpu, values));
  const steps = qualityWords.length - 1;
  return {
    chunks: Array.from({ length: count }, (_, i) => {
      // The prompts of the quality words, whose rows never change, follow the last chunk's captions.
      const texts = size + (i === count - 1 && scored ? qualityWords.length : 0);
      return {
        pixels: empty([size, (imageSize ** 2 * 3) / 4], 'u32'),
        ids: empty([texts * tokens.length], 'u32'),
        eot: empty([texts], 'u32'),
      };
    }),
    targets: {
      own: filled(Uint32Array.from({ length: batchSize }, (_, i) => i)),
      teacher: teacher.features && empty([batchSize, teacher.width], 'f32'),
      quality: scored
        ? {
            views: empty([batchSize], 'f32'),
            words: filled(Float32Array.from(qualityWords, (_, i) => i / steps)),
          }
        : null,
    },
  };
}

async function nextPixels(images: AsyncIterator<LoadedImage>): Promise<Uint8Array> {
  const { value } = (await images.next()) as IteratorYieldResult<LoadedImage>;
  if ('error' in value) throw new UserError(value.error, 'Fix or remove the image.');
  return value.pixels;
}
