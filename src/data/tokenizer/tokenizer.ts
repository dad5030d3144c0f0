import { UserError } from '../../common/errors.ts';
import { getOrThrow } from '../../common/get-or-throw.ts';
import { checkLimit } from '../../common/limits.ts';
import { mergePairs } from './byte-pairs.ts';

/** Merges of CLIP's vocabulary: 49,152 tokens less 256 bytes, those at a word's end, and the two specials counted apart. */
const mergeCount = 49152 - 256 - 2;
const wordEnd = '</w>';
const startOfText = '<|startoftext|>';
const endOfText = '<|endoftext|>';

/** Longer words seldom come twice. */
const longestCachedWord = 100;

/** What BPE runs on: specials, English contractions, runs of letters, single digits, runs of anything else. */
const pieces = /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;

/**
 * CLIP's tokenizer: byte-level byte-pair encoding (Sennrich et al., arXiv 1508.07909) of lower-cased text, with
 * OpenAI's vocabulary of 49,408 tokens.
 *
 * OpenAI's runs ftfy over the text first, to repair wrongly decoded characters. Here only Unicode normalization (NFC) and
 * straight quotes stand in for it: text that ftfy would leave alone tokenizes identically.
 */
export class Tokenizer {
  readonly vocabSize: number;
  readonly startToken: number;
  readonly endToken: number;
  readonly #tokens: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #unescapeHtml: (text: string) => string;
  readonly #words = new Map<string, readonly number[]>();

  /**
   * @param vocabulary OpenAI's `bpe_simple_vocab_16e6.txt`: a line of version, then a merge a line
   * @param unescapeHtml the text that a text in HTML stands for, `&amp;` as `&`
   */
  constructor(vocabulary: string, unescapeHtml: (text: string) => string) {
    const merges = vocabulary.split('\n').slice(1, 1 + mergeCount);
    this.#unescapeHtml = unescapeHtml;
    const bytes = printableBytes();
    const tokens = [...bytes, ...bytes.map((symbol) => symbol + wordEnd)];
    for (const merge of merges) tokens.push(merge.replace(' ', ''));
    tokens.push(startOfText, endOfText);
    this.#tokens = tokens;
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    this.#ranks = new Map(merges.map((merge, rank) => [merge, rank]));
    this.vocabSize = tokens.length;
    this.startToken = tokens.length - 2;
    this.endToken = tokens.length - 1;
  }

  /** Token ids of a text, without [SOS] and [EOT]. Throws `UserError` for one longer than the limit. */
  encode(text: string): number[] {
    checkLimit(
      'textCharacters',
      text.length,
      (characters) => `the text "${text.slice(0, 60)}…" has ${characters} characters`,
    );
    const cleaned = this.#unescapeHtml(this.#unescapeHtml(straighten(text)))
      .replace(/\s+/g, ' ')
      .trim()
      .toLowerCase();
    return [...cleaned.matchAll(pieces)].flatMap(([piece]) => this.#encodeWord(piece));
  }

  /** A token as the vocabulary spells it: its bytes as printable symbols, `</w>` where a word ends with it. */
  token(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** The text of token ids, words separated by spaces; unknown ids are left out. */
  decode(ids: Iterable<number>): string {
    const symbols = [...ids].map((id) => this.#tokens[id] ?? '').join('');
    const characters = [...symbols.replaceAll(wordEnd, ' ')];
    const bytes = characters.map((symbol) => (symbol === ' ' ? 32 : (byteOf.get(symbol) ?? 63)));
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }

  /** Rows of `contextLength` ids, [SOS] text [EOT] and zeros; a longer text is refused, or cut before [EOT] with `truncate`. */
  tokenize(
    texts: readonly string[],
    contextLength = 77,
    options: { readonly truncate?: boolean } = {},
  ): Int32Array {
    const rows = new Int32Array(texts.length * contextLength);
    for (const [row, text] of texts.entries()) {
      const ids = [this.startToken, ...this.encode(text), this.endToken];
      if (ids.length > contextLength) {
        if (!options.truncate)
          throw new UserError(
            `"${text.slice(0, 60)}…" is ${ids.length} tokens long, more than the context of ${contextLength}`,
            'Shorten the text.',
          );
        ids.length = contextLength;
        ids[contextLength - 1] = this.endToken;
      }
      rows.set(ids, row * contextLength);
    }
    return rows;
  }

  #encodeWord(word: string): readonly number[] {
    let ids = this.#words.get(word);
    if (!ids) {
      ids = this.#merge(word).map((symbol) => getOrThrow(this.#ids, symbol));
      if (word.length <= longestCachedWord) this.#words.set(word, ids);
    }
    return ids;
  }

  /** Merges the pair of lowest rank until none is left. */
  #merge(word: string): string[] {
    if (word === startOfText || word === endOfText) return [word];
    const symbols = [...new TextEncoder().encode(word)].map((byte) => symbolOf[byte]!);
    symbols[symbols.length - 1] += wordEnd;
    return mergePairs(symbols, (left, right) => this.#ranks.get(`${left} ${right}`));
  }
}

/** Bytes as printable symbols, so that merges are lines of text: printable Latin-1 stands for itself, the rest from U+0100 on. */
const symbolOf: readonly string[] = (() => {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();
const byteOf = new Map(symbolOf.map((symbol, byte) => [symbol, byte]));

/** The symbols in the order of their ids: those that stand for themselves first. */
function printableBytes(): string[] {
  return [...symbolOf].sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
}

function straighten(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"');
}

/** What models ask of a tokenizer: {@link Tokenizer}, or a table of the few texts that a page has. */
export type TextIds = Pick<Tokenizer, 'vocabSize' | 'startToken' | 'endToken' | 'encode' | 'tokenize'>;

/** Position of [EOT] in a row of token ids, as CLIP finds it: the first place of the largest id. */
export function endOfTextAt(row: ArrayLike<number>): number {
  let end = 0;
  for (let at = 1; at < row.length; at++) if (row[at]! > row[end]!) end = at;
  return end;
}
