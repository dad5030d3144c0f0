import { named } from '../autograd/names.ts';
import { gatherRows } from '../autograd/ops/embedding.ts';
import { reshape } from '../autograd/ops/shape.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { PrefixTree } from './prefix-tree.ts';
import { paddedRows, prefixTree, type Slot } from './prefix-tree.ts';
import type { TextTransformer } from './text.ts';

export interface PromptLearnerOptions {
  /** Each word has context vectors of its own (CSC) rather than all sharing one set. */
  readonly classSpecific: boolean;
  /** Compute every prompt on its own, padded to the context length: the oracle of the packed form. */
  readonly padded?: boolean;
}

/**
 * Learnable prompts (Zhou et al., CoOp, arXiv 2109.01134): context vectors among the embeddings of fixed tokens, through
 * the frozen text transformer. The prompts run packed: rows that begin alike are one row (a prefix tree), and nothing
 * is computed after [EOT]. Causal attention makes this exact.
 */
export class PromptLearner {
  /** Context vectors [nCtx, width], or [prompts, nCtx, width] when class-specific: the parameter. */
  readonly ctx: Tensor;
  readonly tree: PrefixTree;
  readonly #text: TextTransformer;
  readonly #rows: Tensor; // u32 [R]: of each row the context vector it holds; of a token's a number beyond them
  readonly #fixed: Tensor; // what does not learn of each row [R, width]: its positional embedding and, of a token's, that of the token
  readonly #eot: Tensor; // u32 [prompts]
  readonly #end: Tensor | null; // u32 [R]; padded prompts are apart instead

  constructor(
    text: TextTransformer,
    prompts: readonly (readonly Slot[])[],
    ctx: Tensor,
    options: PromptLearnerOptions,
  ) {
    const { gpu } = ctx;
    this.#text = text;
    this.ctx = ctx;
    const lists = prompts.map((slots) => [...slots]);
    const layout = { classSpecific: options.classSpecific };
    this.tree = options.padded
      ? paddedRows(lists, text.config.contextLength, layout)
      : prefixTree(lists, layout);
    const { slots, position, end, eot } = this.tree;
    const nCtx = ctx.dim(-2);
    const vectors = ctx.size / ctx.dim(-1);
    const place = slots.map(({ slot, prompt }) =>
      slot.kind === 'token' ? vectors : (options.classSpecific ? prompt * nCtx : 0) + slot.index,
    );
    const numbers = (values: Iterable<number>) => keep(Tensor.from(gpu, Uint32Array.from(values)));
    const made = allOrNone(() => ({
      fixed: fixedRows(text, slots, position),
      rows: numbers(place),
      eot: numbers(eot),
      end: options.padded ? null : numbers(end),
    }));
    this.#fixed = made.fixed;
    this.#rows = made.rows;
    this.#eot = made.eot;
    this.#end = made.end;
  }

  /** Text features [prompts, outputWidth], not normalized. */
  features(): Tensor {
    return scope(() => {
      const width = this.ctx.dim(-1);
      const embedded = named('prompts', () => {
        const context = reshape(this.ctx, [this.ctx.size / width, width]);
        return gatherRows(context, this.#rows, this.#fixed);
      });
      const sequences = this.#end ? 1 : this.tree.eot.length;
      const rows = reshape(embedded, [sequences, embedded.dim(0) / sequences, width]);
      return this.#text.features(rows, this.#eot, this.#end ? { end: this.#end } : { mask: 'causal' });
    });
  }

  /** Frees everything but the context vectors. */
  dispose(): void {
    for (const tensor of [this.#fixed, this.#rows, this.#eot, this.#end]) tensor?.dispose();
  }
}

/** The positional embedding of each row and, of a token's, that of the token. */
function fixedRows(
  { parameters }: TextTransformer,
  slots: PrefixTree['slots'],
  position: Int32Array,
): Tensor {
  const table = parameters.get('token_embedding.weight');
  const numbers = (values: Iterable<number>) => Tensor.from(table.gpu, Uint32Array.from(values));
  const none = table.dim(0); // no row: nothing is added
  return keep(
    scope(() => {
      const positions = gatherRows(parameters.get('positional_embedding'), numbers(position));
      const tokens = slots.map(({ slot }) => (slot.kind === 'token' ? slot.id : none));
      return gatherRows(table, numbers(tokens), positions);
    }),
  );
}
