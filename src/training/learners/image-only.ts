import { named } from '../../autograd/names.ts';
import { mseLoss } from '../../autograd/ops/losses.ts';
import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { FeatureScaling } from '../../model/feature-scaling.ts';
import { type DropoutState, headValues, type RegressionHead } from '../../model/head.ts';
import type { Batch, Learner } from '../learner.ts';

/** The image-only ablation: the same head, on the image's feature alone. */
export class ImageOnlyLearner implements Learner {
  readonly head: RegressionHead;
  readonly scaling: FeatureScaling;

  constructor(head: RegressionHead, scaling: FeatureScaling) {
    this.head = head;
    this.scaling = scaling;
  }

  parameters(): Map<string, Tensor> {
    return new Map([...this.head.parameters].map(([name, tensor]) => [`head.${name}`, tensor]));
  }

  loss({ features, mos }: Batch, dropout: DropoutState): Tensor {
    return scope(() => {
      const scores = this.head.forward(this.scaling.forward(features), dropout);
      return named('loss', () => mseLoss(scores, mos));
    });
  }

  predict(features: Tensor): Tensor {
    return scope(() => this.head.forward(this.scaling.forward(features)));
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const constants = new Map<string, HostTensor>(
      Object.entries(await headValues(this.head)).map(([name, value]) => [`head.${name}`, value]),
    );
    for (const [name, data] of Object.entries(this.scaling.statistics ?? {}))
      constants.set(`features.${name}`, { shape: [data.length], data });
    return constants;
  }

  dispose(): void {
    for (const tensor of this.head.parameters.values()) tensor.dispose();
    this.scaling.dispose();
  }
}
