import { blobSource } from '../../data/formats/byte-source.ts';
import { readSafetensors } from '../../data/formats/safetensors.ts';
import type { TensorFile } from '../../data/formats/tensor.ts';
import { OnDevice } from '../../features/on-device.ts';
import { openGpu, textStore } from '../../kernels/browser/open-gpu.ts';
import type { Gpu } from '../../kernels/device/gpu.ts';
import { recovering } from '../../kernels/device/recovery.ts';
import { Clip } from '../../model/clip.ts';
import { type ClipWeights, mapWeights } from '../../model/weights/weights.ts';
import { PixelScorer, type ScoringTower } from '../../scoring/pixel-scorer.ts';
import { readScoringConstants } from '../../scoring/scoring-constants.ts';
import { scoringModel } from '../../scoring/scoring-model.ts';
import { clipOptions } from '../../training/settings.ts';
import { type Checkpoint, readTrainingFile } from '../../training/training-format.ts';
import { fetched } from './fetched.ts';
import { say } from './serve.ts';

/** The device, the CLIP and the head that scores, in a worker. */
export class PageEngine {
  readonly gpu: Gpu;
  readonly weights: ClipWeights;
  readonly model: Checkpoint;
  readonly scorer: PixelScorer;
  readonly #tower: OnDevice<ScoringTower>;

  private constructor(gpu: Gpu, weights: ClipWeights, model: Checkpoint) {
    this.gpu = gpu;
    this.weights = weights;
    this.model = model;
    const { settings, weightsId: id } = model;
    const constants = readScoringConstants(model.constants, settings, 'the model');
    this.#tower = new OnDevice(async (device) => {
      countKernels(device);
      const clip = await Clip.from(device, weights, { ...clipOptions(settings), text: false });
      return { clip, scoring: scoringModel(device, constants) };
    });
    this.scorer = new PixelScorer({
      imageSize: weights.config.vision.imageSize,
      id,
      settings,
      // One image at a time is what a page asks for.
      batch: 1,
      on: (work) => this.recovering(async (device) => work(await this.#tower.on(device), device)),
    });
  }

  /** Opens the browser's adapter and loads the model that lies beside the page. */
  static async open(texts: Readonly<Record<string, string>>): Promise<PageEngine> {
    const kept = new Map(Object.entries(texts));
    const store = textStore({
      getItem: (name) => kept.get(name) ?? null,
      setItem(name, text) {
        kept.set(name, text);
        say({ kind: 'keep', name, text });
      },
    });
    const [gpu, clip, model] = await Promise.all([
      openGpu({ store }),
      openFile('data/clip.safetensors'),
      openFile('data/quality.safetensors').then(readTrainingFile),
    ]);
    return new PageEngine(gpu, mapWeights(clip), model);
  }

  /** The tower and the head, on the device that is open. */
  tower(device: Gpu): Promise<ScoringTower> {
    return this.#tower.on(device);
  }

  /** Does work again where the device is lost on the way, and says so. */
  recovering<T>(work: (device: Gpu) => Promise<T>): Promise<T> {
    return recovering(this.gpu, work, { lost: () => say({ kind: 'lost' }) });
  }
}

/** A file of tensors that lies beside the page. */
export async function openFile(path: string): Promise<TensorFile> {
  const response = await fetched(path);
  return readSafetensors(blobSource(await response.blob(), path));
}

/** Tells the page of every kernel that the driver compiles: the first time it takes seconds. */
function countKernels({ pipelines }: Gpu): void {
  let kernels = 0;
  pipelines.onCompile = () => say({ kind: 'compiled', kernels: ++kernels });
}
