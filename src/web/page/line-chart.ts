import { h, s } from '../../step/page/dom.ts';

interface LineOptions {
  readonly title: string;
  readonly class: string;
  readonly digits: number;
  /** The lowest and the highest value that the axis has at least. */
  readonly range: readonly [number, number];
}

const [width, height, left, bottom] = [420, 170, 40, 20];

/** One value an epoch as a line. */
export class LineChart {
  readonly element: HTMLElement;
  readonly #options: LineOptions;
  readonly #svg: SVGElement;
  readonly #figure: HTMLElement;
  #values: readonly number[] = [];
  #total = 1;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#svg = s('svg', {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `${options.title}: nothing yet`,
    });
    this.#figure = h('b', {}, '–');
    this.element = h(
      'figure',
      { class: `chart ${options.class}` },
      h('figcaption', {}, options.title, this.#figure),
      this.#svg,
    );
    this.#draw();
  }

  start(total: number): void {
    this.#total = total;
    this.#values = [];
    this.#draw();
  }

  add(value: number): void {
    this.#values = [...this.#values, value];
    this.#draw();
  }

  #draw(): void {
    const { range, digits, title } = this.#options;
    const low = Math.min(range[0], ...this.#values);
    const high = Math.max(range[1], ...this.#values);
    const x = (epoch: number) => left + ((epoch - 1) / Math.max(1, this.#total - 1)) * (width - left - 8);
    const y = (value: number) => 8 + (1 - (value - low) / (high - low)) * (height - bottom - 16);
    const points = this.#values.map((value, i) => `${x(i + 1)},${y(value)}`);
    const label = (value: number) =>
      s(
        'text',
        { x: left - 6, y: y(value) + 4, class: 'soft', 'text-anchor': 'end' },
        value.toFixed(value >= 10 ? 0 : 1),
      );
    this.#svg.replaceChildren(
      s('line', { class: 'axis', x1: left, x2: width - 8, y1: y(low), y2: y(low) }),
      s('line', { class: 'axis', x1: left, x2: width - 8, y1: y(high), y2: y(high) }),
      label(low),
      label(high),
      s('text', { x: width - 8, y: height - 4, class: 'soft', 'text-anchor': 'end' }, `epoch ${this.#total}`),
      s('polyline', { points: points.join(' ') }),
      ...(points.length > 0
        ? [s('circle', { cx: x(points.length), cy: y(this.#values.at(-1)!), r: 3.5 })]
        : []),
    );
    const last = this.#values.at(-1);
    this.#figure.textContent = last === undefined ? '–' : last.toFixed(digits);
    this.#svg.setAttribute(
      'aria-label',
      `${title}: ${last === undefined ? 'nothing yet' : `${last.toFixed(digits)} after epoch ${this.#values.length}`}`,
    );
  }
}
