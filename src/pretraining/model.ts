import { keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { normals, streams } from '../common/random.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { ClipConfig, TextConfig } from '../model/config.ts';
import { TextTransformer } from '../model/text.ts';
import { VisionTransformer } from '../model/vit.ts';
import { Parameters } from '../model/weights/parameters.ts';
import type { ObjectiveParameters } from './objective.ts';

/** CLIP bounds the inverse temperature by 100. */
const largestLogitScale = Math.log(100);

/** A CLIP all of whose weights learn: both towers, the temperature, and, with a teacher, the head that predicts its features. */
export class PretrainingModel {
  readonly config: ClipConfig & { readonly text: TextConfig };
  readonly objective: ObjectiveParameters;
  readonly #vision: VisionTransformer;
  readonly #text: TextTransformer;
  /** Tokens of every caption, padded. */
  readonly #textLength: number;

  /**
   * @param weights by canonical name, `logit_scale` among them
   * @param teacherWidth numbers an image that the teacher gives; 0 without one
   */
  constructor(
    gpu: Gpu,
    config: ClipConfig & { readonly text: TextConfig },
    weights: ReadonlyMap<string, HostTensor>,
    options: { readonly textLength: number; readonly teacherWidth: number; readonly seed: number },
  ) {
    const load = (wanted: (name: string) => boolean) => {
      const parameters = new Parameters();
      for (const [name, { shape, data }] of weights)
        if (wanted(name)) parameters.set(name, Tensor.from(gpu, data, shape));
      return parameters;
    };
    const visual = (name: string) => name.startsWith('visual.');
    this.config = config;
    this.#vision = new VisionTransformer(config.vision, load(visual));
    this.#text = new TextTransformer(
      config.text,
      load((name) => !visual(name) && name !== 'logit_scale'),
    );
    this.#textLength = options.textLength;
    const { teacherWidth, seed } = options;
    const width = config.text.outputWidth;
    const { shape, data } = getOrThrow(weights, 'logit_scale');
    this.objective = {
      logitScale: keep(Tensor.from(gpu, data, shape)),
      ceiling: keep(Tensor.from(gpu, [largestLogitScale])),
      distillation:
        teacherWidth === 0
          ? null
          : {
              weight: keep(Tensor.from(gpu, headWeights(teacherWidth, width, seed), [teacherWidth, width])),
              bias: keep(Tensor.zeros(gpu, [teacherWidth])),
            },
    };
  }

  /** Pixel bytes [B, size · size · 3 / 4] → embeddings [B, E], not normalized. */
  images(pixels: Tensor): Tensor {
    return scope(() => this.#vision.features(this.#vision.patchesFromBytes(pixels)));
  }

  /** Token ids u32 [n · length] and the rows of [EOT] u32 [n] → embeddings [n, E], not normalized. */
  texts(ids: Tensor, eot: Tensor): Tensor {
    return scope(() =>
      this.#text.features(this.#text.embedIds(ids, this.#textLength), eot, { mask: 'causal' }),
    );
  }

  visionParameters(): Tensor[] {
    return this.#vision.parameters.tensors();
  }

  textParameters(): Tensor[] {
    return this.#text.parameters.tensors();
  }

  objectiveParameters(): Tensor[] {
    const { logitScale, distillation } = this.objective;
    return [logitScale, ...(distillation ? [distillation.weight, distillation.bias] : [])];
  }

  parameters(): Tensor[] {
    return [...this.visionParameters(), ...this.textParameters(), ...this.objectiveParameters()];
  }

  /** The weights of the CLIP by canonical name: what remains when training ends. */
  weights(): Map<string, Tensor> {
    return new Map([
      ...this.#vision.parameters.entries(),
      ...this.#text.parameters.entries(),
      ['logit_scale', this.objective.logitScale],
    ]);
  }

  /** Every learned tensor by name, the distillation head's too: what a checkpoint holds. */
  state(): Map<string, Tensor> {
    const { distillation } = this.objective;
    const all = this.weights();
    if (distillation)
      all.set('distillation.weight', distillation.weight).set('distillation.bias', distillation.bias);
    return all;
  }

  dispose(): void {
    for (const tensor of [...this.parameters(), this.objective.ceiling]) tensor.dispose();
  }
}

function headWeights(outputs: number, inputs: number, seed: number): Float32Array {
  return new Float32Array(normals(outputs * inputs, seed, streams.distillationHead, inputs ** -0.5));
}
