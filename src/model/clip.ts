import { scale } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Activation, ClipConfig } from './config.ts';
import { checkTokens, TextTransformer, trimTokens } from './text.ts';
import { VisionTransformer } from './vit.ts';
import { loadParameters, type Parameters, type WeightType } from './weights/parameters.ts';
import type { WeightValues } from './weights/weights.ts';

/** What to load, and how to store it. */
export interface ClipOptions {
  /** Storage of the matrices on the GPU; float16 halves their memory. Default float32. */
  readonly weightType?: WeightType | undefined;
  /** Activation of the MLPs where the file doesn't say (OpenAI's and open_clip's layouts). Default QuickGELU. */
  readonly activation?: Activation | undefined;
  /** Leave out a tower that isn't needed. */
  readonly vision?: boolean;
  readonly text?: boolean;
}

/** CLIP: an image tower and a text tower into one space. Image-only backbones (plain ViTs) have no text tower. */
export class Clip {
  readonly gpu: Gpu;
  readonly config: ClipConfig;
  /** exp(logit_scale): the learned inverse temperature. */
  readonly logitScale: number;
  #vision: VisionTransformer | null;
  readonly #text: TextTransformer | null;

  constructor(
    gpu: Gpu,
    config: ClipConfig,
    vision: VisionTransformer | null,
    text: TextTransformer | null,
    logitScale: number,
  ) {
    this.gpu = gpu;
    this.config = config;
    this.#vision = vision;
    this.#text = text;
    this.logitScale = logitScale;
  }

  /** Loads a model from weights that are open; they stay open. */
  static async from(gpu: Gpu, weights: WeightValues, options: ClipOptions = {}): Promise<Clip> {
    const { config } = weights;
    const loaded: Parameters[] = [];
    const load = async (wanted: (name: string) => boolean) => {
      const parameters = await loadParameters(gpu, weights, wanted, options.weightType);
      loaded.push(parameters);
      return parameters;
    };
    const isVisual = (name: string) => name.startsWith('visual.');
    const isTextual = (name: string) => !isVisual(name) && name !== 'logit_scale';
    try {
      const vision =
        (options.vision ?? true) ? new VisionTransformer(config.vision, await load(isVisual)) : null;
      const text =
        config.text && (options.text ?? true)
          ? new TextTransformer(config.text, await load(isTextual))
          : null;
      const logitScale = weights.has('logit_scale') ? Math.exp((await weights.read('logit_scale'))[0]!) : 1;
      return new Clip(gpu, config, vision, text, logitScale);
    } catch (error) {
      for (const parameters of loaded) parameters.dispose();
      throw error;
    }
  }

  get vision(): VisionTransformer {
    if (!this.#vision) throw new UserError('the image tower of this model was not loaded');
    return this.#vision;
  }

  get text(): TextTransformer {
    if (!this.#text) throw noTextTower();
    return this.#text;
  }

  get hasText(): boolean {
    return this.#text !== null;
  }

  /** Normalized images [B, 3, size, size] → features [B, width], not L2-normalized. */
  encodeImages(images: Tensor): Tensor {
    return scope(() => this.vision.features(this.vision.patches(images)));
  }

  /**
   * Token ids as the tokenizer gives them (n rows of the context length) → features [n, width], not L2-normalized. What stands
   * after the last [EOT] is not computed; with `atLeast` so many tokens of each row are, whatever the texts.
   *
   * @throws UserError for ids outside of the vocabulary
   */
  encodeTokens(tokens: Int32Array, options: { readonly atLeast?: number } = {}): Tensor {
    const { config } = this.text;
    checkTokens(tokens, config);
    return scope(() => {
      const { ids, length, eot } = trimTokens(tokens, config.contextLength, options.atLeast);
      return this.text.features(this.text.embed(ids, length), Tensor.from(this.gpu, eot), { mask: 'causal' });
    });
  }

  /** Image features [B, E] and text features [n, E] → logits [B, n] = exp(logit_scale) · cosine. */
  logitsPerImage(images: Tensor, texts: Tensor): Tensor {
    return scope(() =>
      scale(matmul(l2Normalize(images), l2Normalize(texts), { transposeB: true }), this.logitScale),
    );
  }

  /** Frees the image tower's weights, once every image is encoded. */
  releaseVision(): void {
    this.#vision?.parameters.dispose();
    this.#vision = null;
    this.gpu.pool.trim();
  }

  /** Frees the weights on the GPU. */
  dispose(): void {
    this.#vision?.parameters.dispose();
    this.#text?.parameters.dispose();
  }
}

/** For those who need the text tower of a model that has none. */
export function noTextTower(): UserError {
  return new UserError('these weights have no text tower', 'Use a CLIP model, or an image-only trainer.');
}
