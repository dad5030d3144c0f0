import { UserError } from '../../common/errors.ts';
import type { TextIds } from '../../data/tokenizer/tokenizer.ts';

/** What `npm run web` writes: the token ids of a few texts, in a vocabulary cut down to them. */
export interface VocabularyFile {
  readonly size: number;
  readonly start: number;
  readonly end: number;
  readonly texts: Readonly<Record<string, readonly number[]>>;
}

/** The quality words, without CLIP's vocabulary of 1.3 MB and its token table of 6 MB. */
export class FixedVocabulary implements TextIds {
  readonly vocabSize: number;
  readonly startToken: number;
  readonly endToken: number;
  readonly #texts: VocabularyFile['texts'];

  constructor({ size, start, end, texts }: VocabularyFile) {
    this.vocabSize = size;
    this.startToken = start;
    this.endToken = end;
    this.#texts = texts;
  }

  encode(text: string): number[] {
    const ids = Object.hasOwn(this.#texts, text) ? this.#texts[text] : undefined;
    if (!ids) throw new UserError(`this page has no tokens for "${text}"`, 'Train on the command line.');
    return [...ids];
  }

  tokenize(): Int32Array {
    throw new UserError('this page has the tokens of the quality words alone', 'Train on the command line.');
  }
}
