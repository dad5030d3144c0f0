import type { ScoredImage } from './scorer.ts';

/**
 * The results of one model with the score of another as a column: both are to score the same images. Where either cannot, neither does.
 *
 * @param column what the second score is called
 */
export async function* withSecondScore(
  results: AsyncIterable<ScoredImage>,
  others: AsyncIterable<ScoredImage>,
  column: string,
): AsyncIterable<ScoredImage> {
  const second = others[Symbol.asyncIterator]();
  try {
    for await (const result of results) {
      const { value: other } = (await second.next()) as IteratorYieldResult<ScoredImage>;
      if ('error' in result) yield result;
      else if ('error' in other) yield other;
      else yield { ...result, columns: { ...result.columns, [column]: other.score } };
    }
  } finally {
    await second.return?.();
  }
}
