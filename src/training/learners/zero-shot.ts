import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import { classConstants, type Reading } from '../../model/class-constants.ts';
import type { ClassScores } from '../../model/class-scores.ts';
import type { Learner } from '../learner.ts';

/**
 * CLIP as it is: nothing learns. Two readings: the expected score of the quality words' prompts, and the probability of
 * "good" against "bad" (CLIP-IQA: Wang et al., arXiv 2207.12396), mapped linearly to the range of the MOS.
 */
export class ZeroShotLearner implements Learner {
  readonly readings: ReadonlyMap<Reading, (features: Tensor) => Tensor>;
  readonly #scores: Readonly<Record<Reading, ClassScores>>;
  readonly #chosen: Reading;

  constructor(scores: Readonly<Record<Reading, ClassScores>>, chosen: Reading) {
    this.#scores = scores;
    this.#chosen = chosen;
    this.readings = new Map([
      ['words', (features: Tensor) => scores.words.predict(features)],
      ['antonyms', (features: Tensor) => scores.antonyms.predict(features)],
    ]);
  }

  parameters(): Map<string, Tensor> {
    return new Map();
  }

  loss(): Tensor {
    throw new Error('the zero-shot model has nothing to train');
  }

  classify(features: Tensor): Tensor {
    return this.#scores.words.logits(features);
  }

  predict(features: Tensor): Tensor {
    return this.#scores[this.#chosen].predict(features);
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const { words, antonyms } = this.#scores;
    return new Map([
      ...(await classConstants('words', words.text, words.scores, words.logitScale)),
      ...(await classConstants('antonyms', antonyms.text, antonyms.scores, antonyms.logitScale)),
    ]);
  }

  dispose(): void {
    this.#scores.words.dispose();
    this.#scores.antonyms.dispose();
  }
}
