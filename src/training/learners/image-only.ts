import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { DropoutState } from '../../model/head.ts';
import type { Batch, Learner } from '../learner.ts';
import type { HeadTrainer } from './head-trainer.ts';

/** The image-only ablation: the same head, on the image's feature alone. */
export class ImageOnlyLearner implements Learner {
  readonly #trainer: HeadTrainer;

  constructor(trainer: HeadTrainer) {
    this.#trainer = trainer;
  }

  parameters(): Map<string, Tensor> {
    return this.#trainer.parameters();
  }

  loss(batch: Batch, dropout: DropoutState): Tensor {
    return this.#trainer.loss(batch, dropout, (features) => this.#trainer.scaling.forward(features));
  }

  predict(features: Tensor): Tensor {
    return scope(() => this.#trainer.predict(this.#trainer.scaling.forward(features)));
  }

  members(features: Tensor): Tensor {
    return scope(() => this.#trainer.members(this.#trainer.scaling.forward(features)));
  }

  constants(): Promise<Map<string, HostTensor>> {
    return this.#trainer.constants();
  }

  dispose(): void {
    this.#trainer.dispose();
  }
}
