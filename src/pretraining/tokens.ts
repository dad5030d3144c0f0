import type { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import { trimTokens } from '../model/text.ts';

/** Token ids of all captions and of the quality words' prompts, as long as the longest of them. */
export class CaptionTokens {
  /** Tokens of every row: [SOS], text, [EOT] and padding. */
  readonly length: number;
  readonly #ids: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #captions: number;

  /** Captions longer than the context are cut before [EOT]. */
  constructor(
    tokenizer: Tokenizer,
    captions: readonly string[],
    words: readonly string[],
    contextLength: number,
  ) {
    const tokens = tokenizer.tokenize([...captions, ...words], contextLength, { truncate: true });
    const { ids, length, eot } = trimTokens(tokens, contextLength);
    this.length = length;
    this.#ids = ids;
    this.#ends = eot.map((end) => end % length);
    this.#captions = captions.length;
  }

  /** Ids (u32 [n · length]) and [EOT] rows (u32 [n]) of the given captions, then, `withWords`, of the words' prompts. */
  batch(captions: Int32Array, withWords: boolean): { rows: Uint32Array; ends: Uint32Array } {
    const { length } = this;
    const words = this.#ends.length - this.#captions;
    const chosen = withWords
      ? [...captions, ...Array.from({ length: words }, (_, i) => this.#captions + i)]
      : [...captions];
    const rows = new Uint32Array(chosen.length * length);
    for (const [i, row] of chosen.entries())
      rows.set(this.#ids.subarray(row * length, (row + 1) * length), i * length);
    return { rows, ends: Uint32Array.from(chosen, (row, i) => i * length + this.#ends[row]!) };
  }
}
