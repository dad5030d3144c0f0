import { named } from '../autograd/names.ts';
import { add } from '../autograd/ops/arithmetic.ts';
import { linear } from '../autograd/ops/linear.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { patchesFromBytes, patchesFromImages } from '../autograd/ops/patches.ts';
import { concat, expand, reshape, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import type { VisionConfig } from './config.ts';
import {
  affine,
  type Block,
  blockParameters,
  classTokenBlock,
  normalize,
  transformerBlock,
} from './layers.ts';
import type { Parameters } from './weights/parameters.ts';

/** The part of the model in which the tokens of a block leave the tower. */
export const pooledPart = 'visual.tokens';

/** Called with each stage's output while it exists: `visual.embedding`, `visual.block0`, …; tensors are [B, tokens, width]. */
export type StageObserver = (name: string, output: Tensor) => void;

/**
 * CLIP's vision transformer (Dosovitskiy et al., arXiv 2010.11929; Radford et al., arXiv 2103.00020): patches, class
 * token, positions, pre-norm blocks, and the class token's projection. Also reads plain ViTs (no `ln_pre`, no
 * projection, a patch bias).
 */
export class VisionTransformer {
  readonly config: VisionConfig;
  readonly parameters: Parameters;
  readonly #blocks: readonly Block[];

  constructor(config: VisionConfig, parameters: Parameters) {
    this.config = config;
    this.parameters = parameters;
    this.#blocks = Array.from({ length: config.layers }, (_, i) =>
      blockParameters(parameters, `visual.transformer.resblocks.${i}`),
    );
  }

  /** Width of the feature: the projection's, or the tower's where there is none. */
  get featureWidth(): number {
    return this.config.outputWidth ?? this.config.width;
  }

  /** Tokens of an image: the patches and the class token. */
  get tokens(): number {
    return (this.config.imageSize / this.config.patchSize) ** 2 + 1;
  }

  /** Normalized images [B, 3, size, size] → patches [B · patches, 3 · patch²]. */
  patches(images: Tensor): Tensor {
    return patchesFromImages(images, this.config.patchSize);
  }

  /** Images as bytes (RGB, row by row, four bytes a u32; shape [B, size · size · 3 / 4]), normalized on the GPU → patches. */
  patchesFromBytes(pixels: Tensor): Tensor {
    const { imageSize, patchSize, mean, std } = this.config;
    return patchesFromBytes(pixels, { size: imageSize, patch: patchSize, mean, std });
  }

  /** Patches → features [B, featureWidth], not normalized. The last block computes the class token alone. */
  features(patches: Tensor): Tensor {
    return scope(() => this.#project(this.#run(patches, this.#blocks.length - 1, undefined, true)));
  }

  /** As {@link features}, with every token of every block computed, and shown to `observe`: the oracle and the parity check. */
  featuresObserved(patches: Tensor, observe: StageObserver): Tensor {
    return scope(() =>
      this.#project(slice(this.#run(patches, this.#blocks.length, observe, false), 1, 0, 1)),
    );
  }

  /** The outputs of the given blocks (1 is the first), each [B, tokens, width]; later blocks are not computed. */
  blockOutputs(patches: Tensor, blocks: readonly number[]): Tensor[] {
    return scope(() => this.#collect(patches, Math.max(...blocks), blocks).outputs);
  }

  /** As {@link blockOutputs}, with the features [B, featureWidth] of the same pass, from the class token after all blocks. */
  blockOutputsAndFeatures(
    patches: Tensor,
    blocks: readonly number[],
  ): { readonly outputs: readonly Tensor[]; readonly features: Tensor } {
    return scope(() => {
      const { outputs, last } = this.#collect(patches, this.#blocks.length, blocks);
      return { outputs, features: this.#project(slice(last, 1, 0, 1)) };
    });
  }

  #collect(patches: Tensor, upTo: number, blocks: readonly number[]): { outputs: Tensor[]; last: Tensor } {
    const found = new Map<string, Tensor>();
    const names = blocks.map((block) => `visual.block${block - 1}`);
    const observe: StageObserver = (name, output) => {
      // By the op, so that the tape knows what the outputs are of, and under a name, so that others know what they are for.
      if (names.includes(name))
        found.set(
          name,
          named(pooledPart, () => reshape(output, output.shape)),
        );
    };
    const last = this.#run(patches, upTo, observe, false);
    return { outputs: names.map((name) => getOrThrow(found, name)), last };
  }

  /** ln_post of the class token and the projection. */
  #project(classToken: Tensor): Tensor {
    const { layerNormEps, outputWidth, width } = this.config;
    return named('visual', () => {
      const flat = reshape(classToken, [classToken.size / width, width]);
      const normed = normalize(flat, 'ln_post', affine(this.parameters, 'visual.ln_post'), layerNormEps);
      if (outputWidth === null) return normed;
      return named('proj', () => matmul(normed, this.parameters.get('visual.proj')));
    });
  }

  /** Embedding and the first `blocks` blocks; then, if `finish`, the last one for the class token alone. */
  #run(patches: Tensor, blocks: number, observe: StageObserver | undefined, finish: boolean): Tensor {
    let x = named('visual.embedding', () => this.#embed(patches));
    observe?.('visual.embedding', x);
    for (let i = 0; i < blocks; i++) {
      const next = named(`visual.blocks.${i}`, () =>
        transformerBlock(x, this.#blocks[i]!, this.config, { mask: 'none' }),
      );
      x.dispose();
      x = next;
      observe?.(`visual.block${i}`, x);
    }
    if (!finish) return x;
    return named(`visual.blocks.${blocks}`, () => classTokenBlock(x, this.#blocks.at(-1)!, this.config));
  }

  #embed(patches: Tensor): Tensor {
    return scope(() => {
      const { width, layerNormEps, preNorm, patchBias } = this.config;
      const p = this.parameters;
      const kernel = p.get('visual.conv1.weight');
      const batch = patches.dim(0) / (this.tokens - 1);
      const embedded = linear(
        patches,
        reshape(kernel, [width, kernel.size / width]),
        patchBias ? p.get('visual.conv1.bias') : null,
      );
      const classes = expand(reshape(p.get('visual.class_embedding'), [1, width]), batch);
      const tokens = concat([classes, reshape(embedded, [batch, this.tokens - 1, width])], 1);
      const placed = add(tokens, p.get('visual.positional_embedding'));
      if (!preNorm) return placed;
      return normalize(placed, 'ln_pre', affine(p, 'visual.ln_pre'), layerNormEps);
    });
  }
}
