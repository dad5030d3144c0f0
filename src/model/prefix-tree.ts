import { UserError } from '../common/errors.ts';
import { endOfTextAt, type TextIds } from '../data/tokenizer/tokenizer.ts';

/** Where the word stands in its prompt: after the context, between its halves, or before it. */
export type Position = 'end' | 'middle' | 'front';

/** A place in a prompt: a fixed token, or a context vector by number. */
export type Slot =
  | { readonly kind: 'token'; readonly id: number }
  | { readonly kind: 'context'; readonly index: number };

const token = (id: number): Slot => ({ kind: 'token', id });

/** The prompt of a word: [SOS], context and word as `position` says, ".", [EOT]; nothing after it. */
export function promptSlots(tokenizer: TextIds, word: string, nCtx: number, position: Position): Slot[] {
  const name = tokenizer.encode(word.replaceAll('_', ' '));
  return arrange(tokenizer.startToken, name, [...tokenizer.encode('.'), tokenizer.endToken], nCtx, position);
}

/**
 * The same from a row of token ids laid out for the word at the end, as CoOp tokenizes it: [SOS], nCtx placeholders,
 * the word's `nameLength` ids, ".", [EOT] (the row's largest id), zeros.
 */
export function promptSlotsFromIds(
  row: readonly number[],
  nameLength: number,
  nCtx: number,
  position: Position,
): Slot[] {
  const eot = endOfTextAt(row);
  const name = 1 + nCtx;
  if (eot < name + nameLength)
    throw new UserError(`a prompt of ${eot + 1} tokens is too short for ${nCtx} context vectors`);
  return arrange(
    row[0]!,
    row.slice(name, name + nameLength),
    row.slice(name + nameLength, eot + 1),
    nCtx,
    position,
  );
}

function arrange(
  start: number,
  name: readonly number[],
  tail: readonly number[],
  nCtx: number,
  position: Position,
): Slot[] {
  const context: Slot[] = Array.from({ length: nCtx }, (_, index) => ({ kind: 'context', index }));
  const before = { end: nCtx, middle: Math.floor(nCtx / 2), front: 0 }[position];
  return [
    token(start),
    ...context.slice(0, before),
    ...name.map(token),
    ...context.slice(before),
    ...tail.map(token),
  ];
}

/** Rows of several prompts for one pass through the text transformer. */
export interface PrefixTree {
  /** What each row holds; `prompt` is whose context vectors it takes when they are class-specific, else -1. */
  readonly slots: readonly { readonly slot: Slot; readonly prompt: number }[];
  /** Each row's depth, which is its place in its prompts and so its positional embedding. */
  readonly position: Int32Array;
  /** The subtree of row j is the rows [j, end[j]): row i may look at row j if j ≤ i < end[j]. */
  readonly end: Int32Array;
  /** -1 for a root. */
  readonly parent: Int32Array;
  /** The row of each prompt's [EOT]. */
  readonly eot: Int32Array;
}

/**
 * The prompts as a prefix tree in depth-first preorder. Causal attention makes a row depend on its ancestors alone, so
 * prompts that begin alike share those rows.
 */
export function prefixTree(
  prompts: readonly (readonly Slot[])[],
  { classSpecific }: { readonly classSpecific: boolean },
): PrefixTree {
  const slots: { slot: Slot; prompt: number }[] = [];
  const position: number[] = [];
  const end: number[] = [];
  const parent: number[] = [];
  const eot = new Int32Array(prompts.length);
  const keyOf = (slot: Slot, prompt: number) =>
    slot.kind === 'token' ? `t${slot.id}` : classSpecific ? `c${slot.index} of ${prompt}` : `c${slot.index}`;
  const grow = (members: readonly number[], depth: number, above: number): void => {
    const branches = new Map<string, number[]>();
    for (const prompt of members) {
      const slot = prompts[prompt]![depth];
      if (!slot) {
        eot[prompt] = above;
        continue;
      }
      const key = keyOf(slot, prompt);
      branches.set(key, [...(branches.get(key) ?? []), prompt]);
    }
    for (const branch of branches.values()) {
      const slot = prompts[branch[0]!]![depth]!;
      const row =
        slots.push({ slot, prompt: classSpecific && slot.kind === 'context' ? branch[0]! : -1 }) - 1;
      position.push(depth);
      parent.push(above);
      end.push(0);
      grow(branch, depth + 1, row);
      end[row] = slots.length;
    }
  };
  grow([...prompts.keys()], 0, -1);
  return {
    slots,
    position: Int32Array.from(position),
    end: Int32Array.from(end),
    parent: Int32Array.from(parent),
    eot,
  };
}

/** Every prompt on its own and padded with token 0 to the context length, as the published code computes it: the oracle. */
export function paddedRows(
  prompts: readonly (readonly Slot[])[],
  contextLength: number,
  { classSpecific }: { readonly classSpecific: boolean },
): PrefixTree {
  const rows = prompts.flatMap((prompt, number) =>
    Array.from({ length: contextLength }, (_, depth) => {
      const slot = prompt[depth] ?? token(0);
      return { slot, prompt: classSpecific && slot.kind === 'context' ? number : -1 };
    }),
  );
  const depth = (row: number) => row % contextLength;
  return {
    slots: rows,
    position: Int32Array.from(rows, (_, row) => depth(row)),
    end: Int32Array.from(rows, (_, row) => row - depth(row) + contextLength),
    parent: Int32Array.from(rows, (_, row) => (depth(row) === 0 ? -1 : row - 1)),
    eot: Int32Array.from(prompts, ({ length }, number) => number * contextLength + length - 1),
  };
}
