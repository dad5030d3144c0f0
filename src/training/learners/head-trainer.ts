import { named } from '../../autograd/names.ts';
import { mean } from '../../autograd/ops/reduce.ts';
import { concat, expand, permute, reshape, slice } from '../../autograd/ops/shape.ts';
import { keep, scope } from '../../autograd/scope.ts';
import { Tensor } from '../../autograd/tensor.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import type { FeatureScaling } from '../../model/feature-scaling.ts';
import type { GradeBoundaries } from '../../model/grades.ts';
import { type DropoutState, headValues, type RegressionHead } from '../../model/head.ts';
import type { Batch } from '../learner.ts';
import { type LossTerm, weightedLoss } from '../training-loss.ts';

/** What a {@link HeadTrainer} is made of. */
export interface HeadParts {
  readonly head: RegressionHead;
  readonly scaling: FeatureScaling;
  readonly terms: readonly LossTerm[];
  /** Degraded versions of each image. */
  readonly versions: number;
  /** Where grades are learned too. */
  readonly grades: GradeBoundaries | null;
}

/** A regression head, or an ensemble of heads, on features of images, and what it learns by. */
export class HeadTrainer {
  readonly #parts: HeadParts;
  /** The order [1 + versions] of an image and its degraded versions. */
  readonly #order: Tensor | undefined;

  constructor(parts: HeadParts) {
    this.#parts = parts;
    const { versions, head } = parts;
    if (versions > 0) {
      const order = Float32Array.from({ length: 1 + versions }, (_, i) => -i);
      this.#order = keep(Tensor.from(head.parameters.get('1.weight')!.gpu, order));
    }
  }

  get scaling(): FeatureScaling {
    return this.#parts.scaling;
  }

  parameters(): Map<string, Tensor> {
    const { head, grades } = this.#parts;
    return new Map([
      ...[...head.parameters].map(([name, tensor]) => [`head.${name}`, tensor] as const),
      ...(grades?.parameters ?? []),
    ]);
  }

  /**
   * @param inputOf what the head reads of features [n, width]
   * @returns [1]
   */
  loss(
    { features, degraded, mos, classes }: Batch,
    dropout: DropoutState,
    inputOf: (features: Tensor) => Tensor,
  ): Tensor {
    const { head, terms, versions, grades } = this.#parts;
    return scope(() => {
      const [batch, width] = features.shape as [number, number];
      const all = degraded ? concat([features, reshape(degraded, [batch * versions, width])], 0) : features;
      const given = head.members(inputOf(all), dropout);
      const own = degraded ? slice(given, 0, 0, batch) : given;
      const members = own.dim(1);
      const each = members === 1 ? reshape(own, [batch]) : permute(own, [1, 0]);
      return named('loss', () =>
        weightedLoss(terms, {
          scores: each,
          mos: members === 1 ? mos : expand(mos, members),
          versions: this.#order && this.#versions(given, batch, this.#order),
          grades: grades
            ? { logits: grades.logits(members === 1 ? each : mean(own, -1)), classes }
            : undefined,
        }),
      );
    });
  }

  /** Scores [batch · (1 + versions), members], images first, as rows of an image and its versions, and their order. */
  #versions(scores: Tensor, batch: number, order: Tensor) {
    const { versions } = this.#parts;
    const members = scores.dim(1);
    const rows = batch * members;
    const columns = permute(scores, [1, 0]);
    const images = reshape(slice(columns, 1, 0, batch), [rows, 1]);
    const degraded = reshape(slice(columns, 1, batch, batch * (1 + versions)), [rows, versions]);
    return { scores: concat([images, degraded], 1), order: expand(order, rows) };
  }

  predict(input: Tensor): Tensor {
    return this.#parts.head.forward(input);
  }

  members(input: Tensor): Tensor {
    return this.#parts.head.members(input);
  }

  async constants(): Promise<Map<string, HostTensor>> {
    const { head, scaling, grades } = this.#parts;
    const constants = new Map<string, HostTensor>(
      Object.entries(await headValues(head)).map(([name, value]) => [`head.${name}`, value]),
    );
    for (const [name, data] of Object.entries(scaling.statistics ?? {}))
      constants.set(`features.${name}`, { shape: [data.length], data });
    for (const [name, value] of (await grades?.constants()) ?? []) constants.set(name, value);
    return constants;
  }

  dispose(): void {
    const { head, grades, scaling } = this.#parts;
    for (const tensor of head.parameters.values()) tensor.dispose();
    grades?.dispose();
    scaling.dispose();
    this.#order?.dispose();
  }
}
