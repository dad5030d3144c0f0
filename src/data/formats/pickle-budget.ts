import { beyondLimit, limit } from '../../common/limits.ts';

/**
 * What a pickle may still do. Its opcodes can copy containers and refer to what they made before, so that a few hundred
 * bytes describe any amount of work: steps and the memory of every value made are counted, whether it is kept or not.
 */
export class PickleBudget {
  readonly #path: string;
  #steps = limit('pickleSteps');
  #bytes = limit('pickleBytes');

  constructor(path: string) {
    this.#path = path;
  }

  /** Counts opcodes and copied items. */
  step(count = 1): void {
    this.#steps -= count;
    if (this.#steps < 0) throw beyondLimit('pickleSteps', `${this.#path}: its pickle takes too many steps`);
  }

  /** Counts memory, before it is taken. */
  take(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < 0)
      throw beyondLimit('pickleBytes', `${this.#path}: the values of its pickle take too many bytes`);
  }

  /** Counts a container that is about to be filled with `items` items. */
  container(kind: 'list' | 'hash', items: number): void {
    this.step(items);
    this.take(costs[kind] + items * costs[`${kind}Item`]);
  }
}

/** What values take in V8 at most, in bytes. */
export const costs = {
  list: 48,
  listItem: 16,
  hash: 256,
  hashItem: 96,
  /** And two bytes a character. */
  text: 32,
  /** And its bytes: a typed array is a heavy object. */
  bytes: 384,
  object: 128,
} as const;
