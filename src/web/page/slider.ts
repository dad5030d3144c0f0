import { h, s } from '../../step/page/dom.ts';

interface SliderOptions {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Where nothing is done. */
  readonly off: number;
  readonly say: (value: number) => string;
  readonly onInput: (value: number) => void;
}

const [width, height] = [220, 34];

/** A slider with the score over all places where it has been. */
export class Slider {
  readonly element: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #output: HTMLOutputElement;
  readonly #curve: SVGElement;
  readonly #options: SliderOptions;
  readonly #scores = new Map<number, number>();
  #range: readonly [number, number] = [0, 5];

  constructor(options: SliderOptions) {
    this.#options = options;
    const { label, min, max, step, off } = options;
    const id = `slider-${label.toLowerCase().replace(/\W+/g, '-')}`;
    this.#output = h('output', { for: id }, options.say(off));
    this.#input = h('input', { type: 'range', id, min, max, step, value: off, oninput: () => this.#moved() });
    this.#curve = s('svg', { viewBox: `0 0 ${width} ${height}`, class: 'curve', 'aria-hidden': 'true' });
    this.element = h(
      'div',
      { class: 'slider' },
      h('label', { for: id }, label),
      this.#output,
      this.#input,
      this.#curve,
    );
  }

  get value(): number {
    return Number(this.#input.value);
  }

  /** Where nothing is done, and no curve. */
  reset(range: readonly [number, number]): void {
    this.#range = range;
    this.#scores.clear();
    this.#input.value = String(this.#options.off);
    this.#output.textContent = this.#options.say(this.#options.off);
    this.#draw();
  }

  /** The score of the image at this value, with nothing else done to it. */
  note(value: number, score: number): void {
    this.#scores.set(value, score);
    this.#draw();
  }

  #moved(): void {
    this.#output.textContent = this.#options.say(this.value);
    this.#options.onInput(this.value);
    this.#draw();
  }

  #draw(): void {
    const { min, max } = this.#options;
    const [low, high] = this.#range;
    const x = (value: number) => 4 + ((value - min) / (max - min)) * (width - 8);
    const y = (score: number) =>
      3 + (1 - (Math.max(low, Math.min(high, score)) - low) / (high - low)) * (height - 6);
    const points = [...this.#scores]
      .sort(([a], [b]) => a - b)
      .map(([value, score]) => `${x(value)},${y(score)}`);
    const here = this.#scores.get(this.value);
    this.#curve.replaceChildren(
      s('line', { x1: 4, x2: width - 4, y1: height - 1, y2: height - 1, class: 'axis' }),
      s('polyline', { points: points.join(' ') }),
      ...(here === undefined ? [] : [s('circle', { cx: x(this.value), cy: y(here), r: 3.5 })]),
    );
  }
}
