import { scale } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { reshape } from '../autograd/ops/shape.ts';
import { softmax } from '../autograd/ops/softmax.ts';
import { keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';

/**
 * Image features [B, E] (not normalized) and L2-normalized text features [n, E] → logits [B, n] =
 * exp(logit_scale) · cosine, as CLIP classifies (Radford et al., arXiv 2103.00020).
 */
export function classLogits(features: Tensor, text: Tensor, logitScale: number): Tensor {
  return scope(() => scale(matmul(l2Normalize(features), text, { transposeB: true }), logitScale));
}

/** The expected score [B] under the classes' probabilities, softmax of the logits [B, n]; each class stands for one of the scores [n]. */
export function expectedScore(logits: Tensor, scores: Tensor): Tensor {
  return scope(() => {
    const column = reshape(scores, [scores.size, 1]);
    return reshape(matmul(softmax(logits), column), [logits.dim(0)]);
  });
}

/** Scores images by how near they lie to fixed texts, each of which stands for a score. */
export class ClassScores {
  readonly text: Tensor;
  readonly scores: Tensor;
  readonly logitScale: number;

  /**
   * @param text L2-normalized text features [n, E]; passes to this object
   * @param scores the score [n] that each text stands for, in the unit of the MOS
   * @param logitScale exp(logit_scale)
   */
  constructor(text: Tensor, scores: Float32Array, logitScale: number) {
    this.text = keep(text);
    try {
      this.scores = keep(Tensor.from(text.gpu, scores));
    } catch (error) {
      text.dispose();
      throw error;
    }
    this.logitScale = logitScale;
  }

  /** Numbers of a feature, E. */
  get width(): number {
    return this.text.dim(1);
  }

  /** Image features [B, E] → logits [B, n]. */
  logits(features: Tensor): Tensor {
    return classLogits(features, this.text, this.logitScale);
  }

  /** Image features [B, E] → scores [B]. */
  predict(features: Tensor): Tensor {
    return scope(() => expectedScore(this.logits(features), this.scores));
  }

  dispose(): void {
    this.text.dispose();
    this.scores.dispose();
  }
}
