import { named } from '../../autograd/names.ts';
import { crossEntropy } from '../../autograd/ops/losses.ts';
import { l2Normalize } from '../../autograd/ops/normalize.ts';
import { keep, scope } from '../../autograd/scope.ts';
import { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import { classConstants } from '../../model/class-constants.ts';
import { classLogits, expectedScore } from '../../model/class-scores.ts';
import type { PromptLearner } from '../../model/prompt-learner.ts';
import type { Batch, Learner } from '../learner.ts';

/**
 * CoOp (Zhou et al., arXiv 2109.01134) on the quality words: the context vectors learn by cross-entropy over the
 * quality classes, and the score is the expected one of the classes' centers.
 */
export class CoopLearner implements Learner {
  readonly prompts: PromptLearner;
  readonly #centers: Tensor;
  readonly #logitScale: number;

  /** @param centers the score that each class stands for */
  constructor(prompts: PromptLearner, centers: Float32Array, logitScale: number) {
    this.prompts = prompts;
    this.#centers = keep(Tensor.from(prompts.ctx.gpu, centers));
    this.#logitScale = logitScale;
  }

  parameters(): Map<string, Tensor> {
    return new Map([['ctx', this.prompts.ctx]]);
  }

  loss({ features, classes }: Batch): Tensor {
    return scope(() => {
      const logits = this.classify(features);
      return named('loss', () => crossEntropy(logits, classes));
    });
  }

  classify(features: Tensor): Tensor {
    return scope(() => {
      const text = this.prompts.features();
      return named('logits', () => classLogits(features, l2Normalize(text), this.#logitScale));
    });
  }

  predict(features: Tensor): Tensor {
    return scope(() => expectedScore(this.classify(features), this.#centers));
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const text = scope(() => l2Normalize(this.prompts.features()));
    try {
      return await classConstants('words', text, this.#centers, this.#logitScale);
    } finally {
      text.dispose();
    }
  }

  dispose(): void {
    this.#centers.dispose();
    this.prompts.ctx.dispose();
    this.prompts.dispose();
  }
}
