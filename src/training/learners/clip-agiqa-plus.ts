import { named } from '../../autograd/names.ts';
import { l2Normalize } from '../../autograd/ops/normalize.ts';
import { concat } from '../../autograd/ops/shape.ts';
import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { FeatureScaling } from '../../model/feature-scaling.ts';
import { type DropoutState, headValues, type RegressionHead } from '../../model/head.ts';
import type { PromptLearner } from '../../model/prompt-learner.ts';
import { promptSimilarities, type SimilarityPlaces } from '../../model/similarities.ts';
import type { Batch, Learner } from '../learner.ts';
import { type LossTerm, weightedLoss } from '../training-loss.ts';
import { scalingConstants } from './image-only.ts';

/** What a {@link ClipAgiqaPlusLearner} is made of. */
export interface ClipAgiqaPlusParts {
  readonly prompts: PromptLearner;
  /** On the scaled feature and the similarities. */
  readonly head: RegressionHead;
  readonly scaling: FeatureScaling;
  readonly similarities: SimilarityPlaces;
  readonly terms: readonly LossTerm[];
}

/**
 * CLIP-AGIQA with what has been found since: the head takes pooled blocks and native crops, as image-only does, and instead of the prompts'
 * features, which are the same for each image and so only a bias of the head, how similar the image is to each of them.
 */
export class ClipAgiqaPlusLearner implements Learner {
  readonly #parts: ClipAgiqaPlusParts;

  constructor(parts: ClipAgiqaPlusParts) {
    this.#parts = parts;
  }

  parameters(): Map<string, Tensor> {
    const { prompts, head } = this.#parts;
    const found = new Map<string, Tensor>([['ctx', prompts.ctx]]);
    for (const [name, tensor] of head.parameters) found.set(`head.${name}`, tensor);
    return found;
  }

  loss({ features, mos }: Batch, dropout: DropoutState): Tensor {
    return scope(() => {
      const scores = this.#scores(features, dropout);
      return named('loss', () => weightedLoss(this.#parts.terms, scores, mos));
    });
  }

  predict(features: Tensor): Tensor {
    return this.#scores(features);
  }

  #scores(features: Tensor, dropout?: DropoutState): Tensor {
    const { head, scaling, similarities } = this.#parts;
    return scope(() => {
      const text = this.#text();
      const input = named('joined', () =>
        concat([scaling.forward(features), promptSimilarities(features, text, similarities)], 1),
      );
      return head.forward(input, dropout);
    });
  }

  /** L2-normalized text features of the prompts [words, E]. */
  #text(): Tensor {
    return scope(() => {
      const features = this.#parts.prompts.features();
      return named('text.normalize', () => l2Normalize(features));
    });
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const { head, scaling, similarities } = this.#parts;
    const constants = new Map<string, HostTensor>(
      Object.entries(await headValues(head)).map(([name, value]) => [`head.${name}`, value]),
    );
    for (const [name, tensor] of scalingConstants(scaling)) constants.set(name, tensor);
    const text = this.#text();
    try {
      constants.set('similarities.text', { shape: text.shape, data: await text.read() });
    } finally {
      text.dispose();
    }
    const { places, logitScale } = similarities;
    constants.set('similarities.places', { shape: [places.length], data: Float32Array.from(places) });
    constants.set('similarities.logitScale', { shape: [1], data: Float32Array.of(logitScale) });
    return constants;
  }

  dispose(): void {
    const { prompts, head, scaling } = this.#parts;
    for (const tensor of head.parameters.values()) tensor.dispose();
    scaling.dispose();
    prompts.ctx.dispose();
    prompts.dispose();
  }
}
