import { limit } from '../../common/limits.ts';

interface Waiting {
  readonly pixels: number;
  readonly begin: () => void;
}

/** Images of so few pixels are not held back: those of all threads together are a fraction of the budget. */
const few = 2 ** 20;

/**
 * Bounds the pixels being decoded at one time, over all threads, since each takes memory: a file of 30 KB can hold 250
 * million. Images are admitted in the order in which they ask; one beyond the whole budget is decoded alone.
 */
export class PixelBudget {
  #used = 0;
  readonly #queue: Waiting[] = [];

  /** Resolves once so many pixels may be decoded, with a function that gives them back. `signal` ends the waiting. */
  async admit(pixels: number, signal?: AbortSignal): Promise<() => void> {
    if (pixels <= few || signal?.aborted) return () => {};
    const taken = Math.min(pixels, limit('pixelsAtOnce'));
    await new Promise<void>((begin) => {
      const waiting = { pixels: taken, begin };
      this.#queue.push(waiting);
      signal?.addEventListener('abort', () => this.#leave(waiting), { once: true });
      this.#next();
    });
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#used -= taken;
      this.#next();
    };
  }

  /** Pixels admitted and not yet given back. */
  get used(): number {
    return this.#used;
  }

  #next(): void {
    for (let [next] = this.#queue; next; [next] = this.#queue) {
      if (this.#used + next.pixels > limit('pixelsAtOnce')) return;
      this.#queue.shift();
      this.#used += next.pixels;
      next.begin();
    }
  }

  #leave(waiting: Waiting): void {
    const at = this.#queue.indexOf(waiting);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    // As if it had been admitted: who asked gives it back, and finds that it is no longer wanted.
    this.#used += waiting.pixels;
    waiting.begin();
  }
}
