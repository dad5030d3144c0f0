import { type Output, openOutput } from '../common/files.ts';
import { inNaturalOrder } from '../common/natural-order.ts';
import { type CsvCell, csvText } from '../data/formats/csv-writer.ts';
import type { ScoredImage } from '../scoring/scorer.ts';
import { formatTable } from './table.ts';

/** The order of what is written: by score from the best down, by name, or as the images were given. */
export type SheetOrder = 'score' | 'name' | 'none';

export interface SheetOptions {
  readonly csv?: string | undefined;
  readonly rawCsv?: boolean | undefined;
  readonly json?: boolean | undefined;
  /** By default a table goes by score, and CSV and JSON as the images were given. */
  readonly sort?: SheetOrder | undefined;
}

/** What is written of an image that was not reached, so that an unfinished CSV says so itself. */
const notScored = 'not scored: the command was stopped first';

/** Where scores are written: CSV, lines of JSON, or, with neither, a table on stdout. In the order given they go out as they come. */
export class ScoreSheet {
  readonly #options: SheetOptions;
  readonly #columns: readonly string[];
  readonly #order: SheetOrder;
  readonly #csv: Output | null;
  readonly #waiting: ScoredImage[] = [];

  /** @param columns what each image has besides its score */
  constructor(columns: readonly string[], options: SheetOptions) {
    this.#options = options;
    this.#columns = columns;
    this.#csv = options.csv === undefined ? null : openOutput(options.csv);
    this.#order = options.sort ?? (this.#isTable ? 'score' : 'none');
    this.#csv?.write(csvText([['path', 'score', ...columns, 'error']]));
  }

  take(result: ScoredImage): void {
    if (this.#isTable || this.#order !== 'none') this.#waiting.push(result);
    else this.#write(result);
  }

  /** Writes what waits, and in a CSV the images that were not reached. What goes wrong here leaves an older file as it was. */
  finish(rest: readonly string[]): void {
    try {
      const results = sorted(this.#waiting, this.#order);
      if (this.#isTable) this.#printTable(results);
      else for (const result of results) this.#write(result);
      const blanks = this.#columns.map(() => '');
      const rows = rest.map((path) => [path, '', ...blanks, notScored]);
      if (rows.length > 0) this.#csv?.write(csvText(rows, { raw: this.#options.rawCsv }));
      this.#csv?.commit();
    } catch (error) {
      this.#csv?.abandon();
      throw error;
    }
  }

  get #isTable(): boolean {
    return this.#csv === null && !this.#options.json;
  }

  #write(result: ScoredImage): void {
    this.#csv?.write(csvText([this.#csvRow(result)], { raw: this.#options.rawCsv }));
    if (!this.#options.json) return;
    const { columns, ...rest } = { columns: {}, ...result };
    process.stdout.write(`${JSON.stringify({ ...rest, ...columns })}\n`);
  }

  #csvRow(result: ScoredImage): CsvCell[] {
    if ('error' in result) return [result.path, '', ...this.#columns.map(() => ''), result.error];
    const { path, score, columns = {} } = result;
    return [path, score, ...this.#columns.map((name) => columns[name] ?? ''), ''];
  }

  #printTable(results: readonly ScoredImage[]): void {
    const rows = results.flatMap((result) => {
      if ('error' in result) return [];
      const { path, score, columns = {} } = result;
      const values = this.#columns.map((name) => columns[name]?.toFixed(4) ?? '');
      return [[path, score.toFixed(4), ...values]];
    });
    const columns = ['image', 'score', ...this.#columns];
    process.stdout.write(`${formatTable(rows, { columns, align: `l${'r'.repeat(columns.length - 1)}` })}\n`);
  }
}

/** Images without a score come last in the order of scores. */
function sorted(results: readonly ScoredImage[], order: SheetOrder): readonly ScoredImage[] {
  if (order === 'none') return results;
  if (order === 'score') {
    const value = (result: ScoredImage) => ('score' in result ? result.score : -Infinity);
    return [...results].sort((a, b) => value(b) - value(a) || a.index - b.index);
  }
  const places = new Map(inNaturalOrder(results.map(({ path }) => path)).map((path, i) => [path, i]));
  return [...results].sort((a, b) => places.get(a.path)! - places.get(b.path)! || a.index - b.index);
}
