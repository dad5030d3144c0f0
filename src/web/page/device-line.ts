import type { EngineClient } from '../client.ts';
import type { EngineInfo } from '../protocol.ts';

/** The line under the title that says what computes, and what it is busy with. */
export class DeviceLine {
  readonly #element: HTMLElement;
  #base = 'Starting the engine…';
  #began = performance.now();
  #kernels = 0;
  #quiet: ReturnType<typeof setTimeout> | undefined;

  constructor(element: HTMLElement, engine: EngineClient) {
    this.#element = element;
    engine.onNote((note) => {
      if (note.kind === 'compiled') this.#compiling(note.kernels);
      if (note.kind === 'lost') this.#say('The GPU was lost; opening it again…');
      if (note.kind === 'masked')
        this.#say(
          `${this.#base} It computes ${note.what.join(' and ')} wrongly, so the engine does without.`,
        );
    });
  }

  opened({ adapter }: EngineInfo): void {
    const name = [adapter.name, adapter.architecture]
      .filter((word, i, all) => word && all.indexOf(word) === i)
      .join(' ');
    this.#base = adapter.software
      ? `No GPU was found, so your processor computes (${name}): right, but a hundred times slower.`
      : `Computing on ${name}.`;
    document.documentElement.dataset.adapter = adapter.software ? 'software' : 'gpu';
    this.#say(this.#base);
  }

  none(): void {
    this.#say('Nothing can be computed in this browser; the example scores were computed beforehand.');
  }

  #compiling(kernels: number): void {
    if (this.#kernels === 0 || kernels < this.#kernels) this.#began = performance.now();
    this.#kernels = kernels;
    const seconds = Math.round((performance.now() - this.#began) / 1000);
    this.#say(
      `${this.#base} Compiling kernels for it, once: ${kernels} so far${seconds > 1 ? `, ${seconds} s` : ''}.`,
    );
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.idle(), 1500);
  }

  /** Nothing is under way. */
  idle(): void {
    clearTimeout(this.#quiet);
    this.#say(this.#base);
  }

  #say(text: string): void {
    this.#element.textContent = text;
  }
}
