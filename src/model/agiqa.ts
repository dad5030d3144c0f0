import { named } from '../autograd/names.ts';
import { joinRepeated } from '../autograd/ops/join-repeated.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { reshape } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { streams } from '../common/random.ts';
import type { TextIds } from '../data/tokenizer/tokenizer.ts';
import type { TextConfig } from './config.ts';
import type { DropoutState, RegressionHead } from './head.ts';
import { type Position, promptSlots, type Slot } from './prefix-tree.ts';
import type { PromptLearner } from './prompt-learner.ts';

/** The quality words of CLIP-AGIQA, worst to best up to `good`, `perfect` last. */
export const qualityWords = ['terrible', 'bad', 'poor', 'average', 'good', 'perfect'] as const;

/** The prompts of words (CLIP-AGIQA's own unless given), with nCtx context vectors; refused where these weights cannot read them. */
export function qualityPrompts(
  config: TextConfig,
  tokenizer: TextIds,
  nCtx: number,
  position: Position,
  words: readonly string[] = qualityWords,
): Slot[][] {
  checkVocabulary(config, tokenizer);
  const slots = words.map((word) => promptSlots(tokenizer, word, nCtx, position));
  const longest = Math.max(...slots.map(({ length }) => length));
  if (longest > config.contextLength)
    throw new UserError(
      `a prompt of ${longest} tokens does not fit the context of ${config.contextLength}`,
      'Lower --n-ctx, or use shorter words.',
    );
  return slots;
}

/** Refuses weights whose token table is not of the tokenizer's vocabulary: its ids would mean other words. */
export function checkVocabulary(config: TextConfig, tokenizer: TextIds): void {
  if (config.vocabSize === tokenizer.vocabSize) return;
  const known = (count: number) => count.toLocaleString('en');
  throw new UserError(
    `these weights have a vocabulary of ${known(config.vocabSize)} tokens, CLIP's tokenizer has ${known(tokenizer.vocabSize)}`,
    "Use weights trained with CLIP's vocabulary.",
  );
}

/**
 * CLIP-AGIQA (Tang et al., ICPR 2024, arXiv 2408.15098): the image's feature and the features of the quality words'
 * learnable prompts, each L2-normalized, concatenated (image first), and a regression head on top.
 */
export class ClipAgiqa {
  readonly prompts: PromptLearner;
  readonly head: RegressionHead;

  constructor(prompts: PromptLearner, head: RegressionHead) {
    this.prompts = prompts;
    this.head = head;
  }

  /** L2-normalized text features of the prompts [words, E]. */
  textFeatures(): Tensor {
    return scope(() => {
      const features = this.prompts.features();
      return named('text.normalize', () => l2Normalize(features));
    });
  }

  /** Image features [B, E] (not normalized) → scores [B]. `textFeatures` may be given where they stand already. */
  predict(imageFeatures: Tensor, training?: DropoutState, textFeatures?: Tensor): Tensor {
    return scope(() => {
      const text = textFeatures ?? this.textFeatures();
      const joined = named('joined', () =>
        joinRepeated(
          l2Normalize(imageFeatures),
          reshape(text, [text.size]),
          training
            ? { p: training.inputP ?? training.p, seed: training.seed, stream: streams.inputDropout }
            : null,
        ),
      );
      return this.head.forward(joined, training, { inputDropped: true });
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
