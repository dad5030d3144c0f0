import { named } from '../../autograd/names.ts';
import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { FeatureScaling } from '../../model/feature-scaling.ts';
import { type DropoutState, headValues, type RegressionHead } from '../../model/head.ts';
import type { Batch, Learner } from '../learner.ts';
import { type LossTerm, weightedLoss } from '../training-loss.ts';

/** The image-only ablation: the same head, on the image's feature alone. */
export class ImageOnlyLearner implements Learner {
  readonly head: RegressionHead;
  readonly scaling: FeatureScaling;
  readonly #terms: readonly LossTerm[];

  constructor(head: RegressionHead, scaling: FeatureScaling, terms: readonly LossTerm[]) {
    this.head = head;
    this.scaling = scaling;
    this.#terms = terms;
  }

  parameters(): Map<string, Tensor> {
    return new Map([...this.head.parameters].map(([name, tensor]) => [`head.${name}`, tensor]));
  }

  loss({ features, mos }: Batch, dropout: DropoutState): Tensor {
    return scope(() => {
      const scores = this.head.forward(this.scaling.forward(features), dropout);
      return named('loss', () => weightedLoss(this.#terms, scores, mos));
    });
  }

  predict(features: Tensor): Tensor {
    return scope(() => this.head.forward(this.scaling.forward(features)));
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const constants = new Map<string, HostTensor>(
      Object.entries(await headValues(this.head)).map(([name, value]) => [`head.${name}`, value]),
    );
    for (const [name, tensor] of scalingConstants(this.scaling)) constants.set(name, tensor);
    return constants;
  }

  dispose(): void {
    for (const tensor of this.head.parameters.values()) tensor.dispose();
    this.scaling.dispose();
  }
}

/** What a scoring model keeps of the scaling of features. */
export function scalingConstants({ statistics }: FeatureScaling): [name: string, tensor: HostTensor][] {
  return Object.entries(statistics ?? {}).map(([name, data]) => [
    `features.${name}`,
    { shape: [data.length], data },
  ]);
}
