import { named } from '../autograd/names.ts';
import { add } from '../autograd/ops/arithmetic.ts';
import { gatherRows } from '../autograd/ops/embedding.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { reshape, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { endOfTextAt } from '../data/tokenizer/tokenizer.ts';
import type { TextConfig } from './config.ts';
import {
  affine,
  type Block,
  blockParameters,
  normalize,
  selectedRowsBlock,
  transformerBlock,
  type Visibility,
} from './layers.ts';
import type { StageObserver } from './vit.ts';
import type { Parameters } from './weights/parameters.ts';

/** CLIP's text transformer: causal blocks, and the [EOT] position's projection (Radford et al., arXiv 2103.00020). */
export class TextTransformer {
  readonly config: TextConfig;
  readonly parameters: Parameters;
  readonly #blocks: readonly Block[];

  constructor(config: TextConfig, parameters: Parameters) {
    this.config = config;
    this.parameters = parameters;
    this.#blocks = Array.from({ length: config.layers }, (_, i) =>
      blockParameters(parameters, `transformer.resblocks.${i}`),
    );
  }

  /**
   * Embedded rows [B, T, width], positions added, → features [n, outputWidth] of the rows `eot` (u32 [n], of the
   * flattened B·T), not normalized. After the last block's attention only those rows are computed.
   */
  features(embedded: Tensor, eot: Tensor, visibility: Visibility): Tensor {
    return inTower(() => {
      let x = embedded;
      for (const [i, block] of this.#blocks.slice(0, -1).entries()) {
        const next = named(`blocks.${i}`, () => transformerBlock(x, block, this.config, visibility));
        if (x !== embedded) x.dispose();
        x = next;
      }
      const last = this.#blocks.length - 1;
      const rows = named(`blocks.${last}`, () =>
        selectedRowsBlock(x, eot, this.#blocks[last]!, this.config, visibility),
      );
      return this.#project(rows);
    });
  }

  /** As {@link features}, with every row of every block computed and shown to `observe`. */
  featuresObserved(embedded: Tensor, eot: Tensor, visibility: Visibility, observe: StageObserver): Tensor {
    return inTower(() => {
      let x = embedded;
      for (const [i, block] of this.#blocks.entries()) {
        x = named(`blocks.${i}`, () => transformerBlock(x, block, this.config, visibility));
        observe(`text.block${i}`, x);
      }
      const width = this.config.width;
      return this.#project(gatherRows(reshape(x, [x.size / width, width]), eot));
    });
  }

  /** Token ids, a row of `length` a text (row-major), → embedded rows [n, length, width] with positions. */
  embed(ids: Uint32Array, length: number): Tensor {
    const { gpu } = this.parameters.get('positional_embedding');
    return scope(() => this.embedIds(Tensor.from(gpu, ids), length));
  }

  /** As {@link embed}, of ids that are on the GPU (u32). */
  embedIds(ids: Tensor, length: number): Tensor {
    return inTower(() =>
      named('embedding', () => {
        const rows = gatherRows(this.parameters.get('token_embedding.weight'), ids);
        const placed = slice(this.parameters.get('positional_embedding'), 0, 0, length);
        return add(reshape(rows, [ids.size / length, length, this.config.width]), placed);
      }),
    );
  }

  #project(rows: Tensor): Tensor {
    const normed = normalize(rows, 'ln_final', affine(this.parameters, 'ln_final'), this.config.layerNormEps);
    return named('proj', () => matmul(normed, this.parameters.get('text_projection')));
  }
}

const inTower = (body: () => Tensor) => named('text', () => scope(body));

/**
/**
 * Refuses token ids that are no rows of the context, or none of the vocabulary's: the GPU would read whatever lies beyond
 * the table. Throws `UserError`.
 *
 * @param where begins the message, e.g. `a.safetensors: `
 */
export function checkTokens(
  tokens: ArrayLike<number>,
  { contextLength, vocabSize }: Pick<TextConfig, 'contextLength' | 'vocabSize'>,
  where = '',
): void {
  const { length } = tokens;
  if (length === 0 || length % contextLength !== 0)
    throw new UserError(
      `${where}${length} tokens are not a multiple of the context length ${contextLength}`,
      'Pass at least one row of the context length.',
    );
  for (let at = 0; at < length; at++) {
    const id = tokens[at]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new UserError(
      `${where}token ${id} at position ${at % contextLength} of row ${Math.floor(at / contextLength)} is not in the vocabulary of ${vocabSize}`,
      'Tokenize with the vocabulary of these weights.',
    );
  }
}

/**
 * The longest used length of token rows of `contextLength` (nothing after [EOT] matters), at least `atLeast`, and each row's
 * [EOT] position: its largest id.
 */
export function trimTokens(
  tokens: Int32Array,
  contextLength: number,
  atLeast = 1,
): { ids: Uint32Array; length: number; eot: Uint32Array } {
  const count = tokens.length / contextLength;
  const ends = Array.from({ length: count }, (_, row) =>
    endOfTextAt(tokens.subarray(row * contextLength, (row + 1) * contextLength)),
  );
  const length = Math.min(
    contextLength,
    ends.reduce((longest, end) => Math.max(longest, end + 1), atLeast),
  );
  const ids = new Uint32Array(count * length);
  for (let row = 0; row < count; row++)
    ids.set(tokens.subarray(row * contextLength, row * contextLength + length), row * length);
  return { ids, length, eot: Uint32Array.from(ends, (end, row) => row * length + end) };
}
