import type { ScoredImage } from './scorer.ts';

/** Of the values of one column so far (Welford's method, which keeps its precision however many there are). */
class Statistics {
  count = 0;
  mean = 0;
  #squares = 0;

  add(value: number): void {
    this.count++;
    const before = value - this.mean;
    this.mean += before / this.count;
    this.#squares += before * (value - this.mean);
  }

  /** Of the values themselves, not an estimate for others. */
  get std(): number {
    return Math.sqrt(this.#squares / this.count);
  }
}

/** What many scores come to. */
export class ScoreSummary {
  /** Images scored, and images that could not be. */
  readonly counts = { scored: 0, failed: 0 };
  readonly #scores = new Statistics();
  readonly #columns = new Map<string, Statistics>();
  #lowest: { readonly path: string; readonly score: number } | undefined;
  #highest: { readonly path: string; readonly score: number } | undefined;

  add(result: ScoredImage): void {
    if ('error' in result) {
      this.counts.failed++;
      return;
    }
    const { path, score, columns = {} } = result;
    this.counts.scored++;
    this.#scores.add(score);
    if (!this.#lowest || score < this.#lowest.score) this.#lowest = { path, score };
    if (!this.#highest || score > this.#highest.score) this.#highest = { path, score };
    for (const [name, value] of Object.entries(columns)) {
      const statistics = this.#columns.get(name) ?? new Statistics();
      statistics.add(value);
      this.#columns.set(name, statistics);
    }
  }

  get reached(): number {
    return this.counts.scored + this.counts.failed;
  }

  /** Label and text of each line; none where nothing was scored. */
  lines(seconds: number): [label: string, text: string][] {
    if (!this.#lowest || !this.#highest) return [];
    const { scored } = this.counts;
    const spread = ({ mean, std }: Statistics) => `mean ${mean.toFixed(4)}, std ${std.toFixed(4)}`;
    const end = (name: string, { path, score }: { path: string; score: number }) =>
      `${name} ${score.toFixed(4)} (${path})`;
    const rate = this.reached / seconds;
    return [
      ['scores', `${scored} ${scored === 1 ? 'image' : 'images'}: ${spread(this.#scores)}`],
      ['', `${end('lowest', this.#lowest)}, ${end('highest', this.#highest)}`],
      ...[...this.#columns].map(([name, column]): [string, string] => ['', `${name}: ${spread(column)}`]),
      ['time', `${seconds.toFixed(1)} s, ${rate.toFixed(rate < 10 ? 2 : 1)} images/s`],
    ];
  }
}
