import { CallError } from '../client.ts';

/** Work that a button starts and, while it runs, stops. */
export class Stoppable {
  readonly #button: HTMLButtonElement;
  readonly #say: (text: string) => void;
  readonly #fail: (error: unknown) => void;
  readonly #stopping: string | undefined;
  #running: AbortController | undefined;

  /**
   * @param fail is told of every error but that the work was stopped
   * @param stopping what is said until the work has ended; by default what was said before stays
   */
  constructor(
    button: HTMLButtonElement,
    say: (text: string) => void,
    fail: (error: unknown) => void,
    stopping?: string,
  ) {
    this.#button = button;
    this.#say = say;
    this.#fail = fail;
    this.#stopping = stopping;
  }

  /** Starts `work`, or stops what runs. */
  async toggle(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#running) {
      this.#running.abort();
      if (this.#stopping !== undefined) this.#say(this.#stopping);
      return;
    }
    const running = new AbortController();
    this.#running = running;
    const label = this.#button.textContent;
    this.#button.textContent = 'Stop';
    try {
      await work(running.signal);
    } catch (error) {
      if (error instanceof CallError && error.failure.kind === 'stopped') this.#say('Stopped.');
      else this.#fail(error);
    } finally {
      this.#running = undefined;
      this.#button.textContent = label;
    }
  }
}
