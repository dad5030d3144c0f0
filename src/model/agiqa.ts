import { l2Normalize } from '../autograd/ops/normalize.ts';
import { concat, expand, reshape } from '../autograd/ops/rows.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { DropoutState, RegressionHead } from './head.ts';
import type { PromptLearner } from './prompt.ts';

/** The quality words of CLIP-AGIQA, worst to best up to `good`, `perfect` last. */
export const qualityWords = ['terrible', 'bad', 'poor', 'average', 'good', 'perfect'] as const;

/**
 * CLIP-AGIQA (Tang et al., ICPR 2024, arXiv 2408.15098): the picture's feature and the features of the quality words'
 * learnable prompts, each L2-normalised, concatenated (picture first), and a regression head on top.
 */
export class ClipAgiqa {
  readonly prompts: PromptLearner;
  readonly head: RegressionHead;

  constructor(prompts: PromptLearner, head: RegressionHead) {
    this.prompts = prompts;
    this.head = head;
  }

  /** L2-normalised text features of the prompts [words, E]. */
  textFeatures(): Tensor {
    return scope(() => l2Normalize(this.prompts.features()));
  }

  /** Picture features [B, E] (not normalised) → scores [B]. `textFeatures` may be given where they stand already. */
  predict(imageFeatures: Tensor, training?: DropoutState, textFeatures?: Tensor): Tensor {
    return scope(() => {
      const text = textFeatures ?? this.textFeatures();
      const batch = imageFeatures.dim(0);
      const repeated = expand(reshape(text, [text.size]), batch);
      return this.head.forward(concat([l2Normalize(imageFeatures), repeated], 1), training);
    });
  }

  /** Learnable tensors by name: `ctx` and `head.1.weight` …. */
  parameters(): Map<string, Tensor> {
    const named = new Map<string, Tensor>([['ctx', this.prompts.ctx]]);
    for (const [name, tensor] of this.head.parameters) named.set(`head.${name}`, tensor);
    return named;
  }

  dispose(): void {
    for (const tensor of this.parameters().values()) tensor.dispose();
    this.prompts.dispose();
  }
}
