import { UserError } from '../common/errors.ts';
import { qualityWords } from '../model/agiqa.ts';

/**
 * The quality words of a run, worst to best: its own, or CLIP-AGIQA's.
 *
 * @throws UserError for fewer than two, or two that are the same
 */
export function wordsOf({ words }: { readonly words: string }): readonly string[] {
  if (words === '') return qualityWords;
  const list = words.split(',').map((word) => word.trim());
  if (list.length < 2 || list.includes('') || new Set(list).size < list.length)
    throw new UserError(
      `--words "${words}" is not a list of at least two different words`,
      'Separate them by commas, worst to best: --words "bad,average,good".',
    );
  return list;
}
