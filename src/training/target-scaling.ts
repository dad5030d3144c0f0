import { divisor, standardized } from '../common/standardize.ts';
import type { HostTensor } from '../data/formats/tensor.ts';

/**
 * Scores standardized for training, (mos - mean) / standard deviation, so that a step is as large whatever the unit of the MOS.
 * Predictions, metrics and saved heads stay in that unit.
 */
export class TargetScaling {
  readonly mean: number;
  readonly std: number;

  /** Fitted on the training images' scores. */
  constructor(mos: readonly number[]) {
    const mean = mos.reduce((sum, value) => sum + value, 0) / mos.length;
    const squares = mos.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    this.mean = mean;
    this.std = divisor(Math.sqrt(squares / mos.length));
  }

  /** MOS → what the head learns. */
  standardize(mos: number): number {
    return standardized(mos, this.mean, this.std);
  }

  /** What the head gives → MOS. */
  restore(prediction: number): number {
    return prediction * this.std + this.mean;
  }

  /** Constants of a model whose head's last layer gives MOS. */
  fold(constants: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
    const folded = new Map(constants);
    const change = (name: string, by: (value: number) => number) => {
      const { shape, data } = constants.get(name)!;
      folded.set(name, { shape, data: data.map(by) });
    };
    change('head.4.weight', (weight) => weight * this.std);
    change('head.4.bias', (bias) => this.restore(bias));
    const slope = constants.get('grades.slope')?.data[0];
    if (slope !== undefined) {
      change('grades.slope', (value) => value / this.std);
      change('grades.boundaries', (at) => at + (slope * this.mean) / this.std);
    }
    return folded;
  }
}
