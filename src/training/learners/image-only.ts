import { mseLoss } from '../../autograd/ops/losses.ts';
import { l2Normalize } from '../../autograd/ops/normalize.ts';
import { scope } from '../../autograd/scope.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { type DropoutState, headValues, type RegressionHead } from '../../model/head.ts';
import type { HostTensor } from '../checkpoint.ts';
import type { Batch, Learner } from '../learner.ts';

/** The image-only ablation: the same head, on the picture's feature alone. */
export class ImageOnlyLearner implements Learner {
  readonly head: RegressionHead;

  constructor(head: RegressionHead) {
    this.head = head;
  }

  parameters(): Map<string, Tensor> {
    return new Map([...this.head.parameters].map(([name, tensor]) => [`head.${name}`, tensor]));
  }

  loss({ features, mos }: Batch, dropout: DropoutState): Tensor {
    return scope(() => mseLoss(this.head.forward(l2Normalize(features), dropout), mos));
  }

  predict(features: Tensor): Tensor {
    return scope(() => this.head.forward(l2Normalize(features)));
  }

  async constants(): Promise<Map<string, HostTensor>> {
    return new Map(
      Object.entries(await headValues(this.head)).map(([name, value]) => [`head.${name}`, value]),
    );
  }

  dispose(): void {
    for (const tensor of this.head.parameters.values()) tensor.dispose();
  }
}
