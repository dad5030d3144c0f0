import { timeText } from '../src/cli/progress.ts';

/**
 * Where a long measurement stands: the number of the step that begins, and how long it and those after it will take, from how
 * long those before took for their share of the cost.
 */
export class Schedule {
  readonly #costs: readonly number[];
  readonly #now: () => number;
  readonly #began: number;
  #next = 0;

  /** @param costs what each step is expected to cost, in any unit, the same for all */
  constructor(costs: readonly number[], now = () => performance.now()) {
    this.#costs = costs;
    this.#now = now;
    this.#began = now();
  }

  /** At the beginning of the next step, as `[3/38, 2 min 41 s left]`; the first knows no time yet. */
  step(): string {
    const total = (costs: readonly number[]) => costs.reduce((sum, cost) => sum + cost, 0);
    const done = total(this.#costs.slice(0, this.#next));
    const seconds = (this.#now() - this.#began) / 1000;
    const left =
      done > 0 ? `, ${timeText((seconds / done) * total(this.#costs.slice(this.#next)))} left` : '';
    this.#next++;
    return `[${this.#next}/${this.#costs.length}${left}]`;
  }
}

/** Announces the stages of a measurement as they begin, with the time left by the seconds each takes on two cores. */
export function stages(progress: (text: string) => void, seconds: readonly number[]): (text: string) => void {
  const schedule = new Schedule(seconds);
  return (text) => progress(`${schedule.step()} ${text}`);
}
