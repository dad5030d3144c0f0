import { add, scale } from '../autograd/ops/arithmetic.ts';
import { mseLoss } from '../autograd/ops/losses.ts';
import { fidelityLoss, gradedResponseLoss, normInNormLoss, plccLoss } from '../autograd/ops/row-losses.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { shown, UserError } from '../common/errors.ts';

/** Losses of scores and what they should be, along the last axis, by the names of `--loss`. */
const losses: Readonly<Record<string, (scores: Tensor, mos: Tensor) => Tensor>> = {
  mse: mseLoss,
  plcc: plccLoss,
  'norm-in-norm': normInNormLoss,
  fidelity: fidelityLoss,
};

/** A loss that needs degraded versions of the images. */
const order = 'order';
/** A loss of quality classes. */
const grades = 'grades';

/** One loss of a sum, and what it is multiplied by. */
export interface LossTerm {
  readonly name: string;
  readonly weight: number;
}

/**
 * A `--loss` such as `0.3*mse+plcc`.
 *
 * @throws UserError if it names no loss there is, one twice, or a weight that is no number above 0
 */
export function parseLoss(text: string): readonly LossTerm[] {
  const terms = text.split('+').map((part) => {
    const [, weight = '1', name = ''] = /^\s*(?:([\d.]+(?:e-?\d+)?)\s*\*)?\s*([a-z-]+)\s*$/i.exec(part) ?? [];
    return { name, weight: Number(weight) };
  });
  const known = ({ name, weight }: LossTerm) =>
    (Object.hasOwn(losses, name) || name === order || name === grades) &&
    Number.isFinite(weight) &&
    weight > 0;
  if (!terms.every(known) || new Set(terms.map(({ name }) => name)).size < terms.length)
    throw new UserError(
      `--loss ${shown(text)} is no sum of losses`,
      `The losses are ${[...Object.keys(losses), order, grades].join(', ')}, each with a weight if wanted: 0.3*mse+plcc.`,
    );
  return terms;
}

/** Whether a `--loss` gives probabilities of grades. */
export const usesGrades = (loss: string): boolean => parseLoss(loss).some(({ name }) => name === grades);

/** What a loss may read beside scores and MOS. */
export interface LossInputs {
  /** [..., B]: of each member of an ensemble, or of a head alone [B]. */
  readonly scores: Tensor;
  /** In the shape of `scores`. */
  readonly mos: Tensor;
  /** Scores of each image and its degraded versions, the worse the later, [n, 1 + versions], and numbers in that order, in the same shape. */
  readonly versions?: { readonly scores: Tensor; readonly order: Tensor } | undefined;
  /** Logits [B, grades - 1] of reaching each grade, and the grades, u32 [B]. */
  readonly grades?: { readonly logits: Tensor; readonly classes: Tensor } | undefined;
}

/** The sum of such losses, [1]; a single one of weight 1 is computed as it is. */
export function weightedLoss(terms: readonly LossTerm[], inputs: LossInputs): Tensor {
  return scope(() =>
    terms
      .map(({ name, weight }) => {
        const loss = lossOf(name, inputs);
        return weight === 1 ? loss : scale(loss, weight);
      })
      .reduce((sum, loss) => add(sum, loss)),
  );
}

function lossOf(name: string, { scores, mos, versions, grades: graded }: LossInputs): Tensor {
  if (name === order && versions) return fidelityLoss(versions.scores, versions.order);
  if (name === grades && graded) return gradedResponseLoss(graded.logits, graded.classes);
  const loss = losses[name];
  if (!loss) throw new Error(`the loss ${name} lacks what it compares`);
  return loss(scores, mos);
}
