import { named } from '../../autograd/names.ts';
import { keep, scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { ClipAgiqa } from '../../model/agiqa.ts';
import { type DropoutState, foldTextFeatures, headValues } from '../../model/head.ts';
import type { Batch, Learner } from '../learner.ts';
import { type LossTerm, weightedLoss } from '../training-loss.ts';

/** CLIP-AGIQA as published: context vectors and head learn, by mean squared error against the MOS unless other losses are asked for. */
export class ClipAgiqaLearner implements Learner {
  readonly model: ClipAgiqa;
  /** Fixed prompts (the `linear` trainer): the context stays as it was initialized and only the head learns. */
  readonly #promptsLearn: boolean;
  readonly #terms: readonly LossTerm[];
  #fixedText: Tensor | undefined;

  constructor(
    model: ClipAgiqa,
    options: { readonly promptsLearn: boolean; readonly terms: readonly LossTerm[] },
  ) {
    this.model = model;
    this.#terms = options.terms;
    this.#promptsLearn = options.promptsLearn;
    // What does not learn is computed once.
    if (!options.promptsLearn) this.#fixedText = keep(scope(() => model.textFeatures()));
  }

  parameters(): Map<string, Tensor> {
    const named = this.model.parameters();
    if (!this.#promptsLearn) named.delete('ctx');
    return named;
  }

  loss({ features, mos }: Batch, dropout: DropoutState): Tensor {
    const scores = this.model.predict(features, dropout, this.#fixedText);
    return named('loss', () => weightedLoss(this.#terms, { scores, mos }));
  }

  predict(features: Tensor): Tensor {
    return this.model.predict(features, undefined, this.#fixedText);
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const text = this.#fixedText?.view() ?? this.model.textFeatures();
    try {
      const folded = foldTextFeatures(await headValues(this.model.head), await text.read());
      return new Map(Object.entries(folded).map(([name, value]) => [`head.${name}`, value]));
    } finally {
      text.dispose();
    }
  }

  dispose(): void {
    this.#fixedText?.dispose();
    this.model.dispose();
  }
}
