import { scale } from '../autograd/ops/arithmetic.ts';
import { linear } from '../autograd/ops/linear.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { concat, expand, reshape } from '../autograd/ops/shape.ts';
import { exp } from '../autograd/ops/unary.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

/** What grades need of a score s: P(at least grade k) = σ(slope · s - boundaries[k - 1]), with boundaries that rise. */
export interface GradeConstants {
  readonly slope: number;
  readonly boundaries: Float32Array;
}

/**
 * Samejima's graded response model (Psychometrika monograph 17, 1969) on a score as the ability: one slope, and boundaries between grades
 * that cannot change places, since what is learned is the first and the logarithms of the gaps.
 */
export class GradeBoundaries {
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Sums of the first boundary and the gaps, as a product. */
  readonly #sums: Tensor;

  /** @param grades how many there are, at least 2; they begin evenly apart, for scores of mean 0 and standard deviation 1 */
  constructor(gpu: Gpu, grades: number) {
    const count = grades - 1;
    const gap = 4 / grades;
    const first = (-gap * (count - 1)) / 2;
    const make = (name: string, values: readonly number[]) =>
      [name, keep(Tensor.from(gpu, values, [values.length], name))] as const;
    const [parameters, sums] = allOrNone(() => [
      new Map([
        make('grades.slope', [Math.log(2)]),
        make('grades.first', [2 * first]),
        ...(count > 1 ? [make('grades.gaps', new Array(count - 1).fill(Math.log(2 * gap)))] : []),
      ]),
      keep(
        Tensor.from(
          gpu,
          Float32Array.from({ length: count * count }, (_, i) =>
            i % count <= Math.floor(i / count) ? 1 : 0,
          ),
          [count, count],
        ),
      ),
    ]);
    this.parameters = parameters;
    this.#sums = sums;
  }

  /** Scores [n] → logits [n, grades - 1] of reaching each grade but the lowest. */
  logits(scores: Tensor): Tensor {
    return scope(() => {
      const { slope, boundaries } = this.#values();
      const count = boundaries.size;
      return linear(
        reshape(scores, [scores.size, 1]),
        reshape(expand(slope, count), [count, 1]),
        scale(reshape(boundaries, [count]), -1),
      );
    });
  }

  #values(): { readonly slope: Tensor; readonly boundaries: Tensor } {
    const [slope, first, gaps] = ['slope', 'first', 'gaps'].map((name) =>
      this.parameters.get(`grades.${name}`),
    );
    const steps = gaps ? concat([first!, exp(gaps)], 0) : first!;
    return { slope: exp(slope!), boundaries: matmul(this.#sums, reshape(steps, [steps.size, 1])) };
  }

  async constants(): Promise<[name: string, tensor: HostTensor][]> {
    const read = async (pick: 'slope' | 'boundaries'): Promise<[string, HostTensor]> => {
      const tensor = scope(() => reshape(this.#values()[pick], [this.#values()[pick].size]));
      const data = await tensor.read().finally(() => tensor.dispose());
      return [`grades.${pick}`, { shape: [data.length], data }];
    };
    return [await read('slope'), await read('boundaries')];
  }

  dispose(): void {
    for (const tensor of this.parameters.values()) tensor.dispose();
    this.#sums.dispose();
  }
}

/** The probability of each grade, from the lowest, of an image with this score. */
export function gradeProbabilities(score: number, { slope, boundaries }: GradeConstants): number[] {
  const reach = [1, ...Array.from(boundaries, (at) => 1 / (1 + Math.exp(at - slope * score))), 0];
  return reach.slice(1).map((next, i) => reach[i]! - next);
}
