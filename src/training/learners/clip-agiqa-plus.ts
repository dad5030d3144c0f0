import { named } from '../../autograd/names.ts';
import { l2Normalize } from '../../autograd/ops/normalize.ts';
import { concat } from '../../autograd/ops/shape.ts';
import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { DropoutState } from '../../model/head.ts';
import type { PromptLearner } from '../../model/prompt-learner.ts';
import { promptSimilarities, type SimilarityPlaces } from '../../model/similarities.ts';
import type { Batch, Learner } from '../learner.ts';
import type { HeadTrainer } from './head-trainer.ts';

/**
 * CLIP-AGIQA with what has been found since: the head takes pooled blocks and native crops, as image-only does, and instead of the prompts'
 * features, which are the same for each image and so only a bias of the head, how similar the image is to each of them.
 */
export class ClipAgiqaPlusLearner implements Learner {
  readonly #prompts: PromptLearner;
  readonly #trainer: HeadTrainer;
  readonly #places: SimilarityPlaces;

  /** @param trainer of a head on the scaled feature and the similarities */
  constructor(prompts: PromptLearner, trainer: HeadTrainer, places: SimilarityPlaces) {
    this.#prompts = prompts;
    this.#trainer = trainer;
    this.#places = places;
  }

  parameters(): Map<string, Tensor> {
    return new Map([['ctx', this.#prompts.ctx], ...this.#trainer.parameters()]);
  }

  loss(batch: Batch, dropout: DropoutState): Tensor {
    return this.#trainer.loss(batch, dropout, (features) => this.#input(features));
  }

  predict(features: Tensor): Tensor {
    return scope(() => this.#trainer.predict(this.#input(features)));
  }

  members(features: Tensor): Tensor {
    return scope(() => this.#trainer.members(this.#input(features)));
  }

  #input(features: Tensor): Tensor {
    return scope(() => {
      const text = this.#text();
      return named('joined', () =>
        concat(
          [this.#trainer.scaling.forward(features), promptSimilarities(features, text, this.#places)],
          1,
        ),
      );
    });
  }

  /** L2-normalized text features of the prompts [words, E]. */
  #text(): Tensor {
    return scope(() => {
      const features = this.#prompts.features();
      return named('text.normalize', () => l2Normalize(features));
    });
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const constants = await this.#trainer.constants();
    const text = this.#text();
    try {
      constants.set('similarities.text', { shape: text.shape, data: await text.read() });
    } finally {
      text.dispose();
    }
    const { places, logitScale } = this.#places;
    constants.set('similarities.places', { shape: [places.length], data: Float32Array.from(places) });
    constants.set('similarities.logitScale', { shape: [1], data: Float32Array.of(logitScale) });
    return constants;
  }

  dispose(): void {
    this.#trainer.dispose();
    this.#prompts.ctx.dispose();
    this.#prompts.dispose();
  }
}
