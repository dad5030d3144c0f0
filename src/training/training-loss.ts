import { add, scale } from '../autograd/ops/arithmetic.ts';
import { mseLoss } from '../autograd/ops/losses.ts';
import { fidelityLoss, normInNormLoss, plccLoss } from '../autograd/ops/row-losses.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { shown, UserError } from '../common/errors.ts';

/** Losses of scores [B] and what they should be [B], by the names of `--loss`. */
const losses: Readonly<Record<string, (scores: Tensor, mos: Tensor) => Tensor>> = {
  mse: mseLoss,
  plcc: plccLoss,
  'norm-in-norm': normInNormLoss,
  fidelity: fidelityLoss,
};

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
    Object.hasOwn(losses, name) && Number.isFinite(weight) && weight > 0;
  if (!terms.every(known) || new Set(terms.map(({ name }) => name)).size < terms.length)
    throw new UserError(
      `--loss ${shown(text)} is no sum of losses`,
      `The losses are ${Object.keys(losses).join(', ')}, each with a weight if wanted: 0.3*mse+plcc.`,
    );
  return terms;
}

/** The sum of such losses, [1]; a single one of weight 1 is computed as it is. */
export function weightedLoss(terms: readonly LossTerm[], scores: Tensor, mos: Tensor): Tensor {
  return scope(() =>
    terms
      .map(({ name, weight }) => {
        const loss = losses[name]!(scores, mos);
        return weight === 1 ? loss : scale(loss, weight);
      })
      .reduce((sum, loss) => add(sum, loss)),
  );
}
