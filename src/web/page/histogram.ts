import { h, s } from '../../step/page/dom.ts';
import { placeOf, type Rated } from './rated.ts';

const [width, height] = [360, 74];

/** The rated images by MOS, with a mark where a score stands among them. */
export class Histogram {
  readonly element: HTMLElement;
  readonly #mark = s('g', { class: 'mark' });
  readonly #words = h('p', { class: 'soft' });
  readonly #rated: Rated;

  constructor(rated: Rated) {
    this.#rated = rated;
    const { bins, binWidth, count } = rated;
    const largest = Math.max(...bins);
    const step = width / bins.length;
    const bars = bins.map((images, i) => {
      const tall = (images / largest) * (height - 18);
      return s('rect', { x: i * step, y: height - 14 - tall, width: step - 1, height: tall });
    });
    const ticks = Array.from({ length: Math.floor(bins.length * binWidth) + 1 }, (_, mos) =>
      s(
        'text',
        {
          x: Math.max(4, Math.min(width - 4, this.#x(mos))),
          y: height - 2,
          class: 'soft',
          'text-anchor': 'middle',
        },
        String(mos),
      ),
    );
    const label = `Ratings of ${count.toLocaleString('en')} AI-generated images, from 0 to ${bins.length * binWidth}`;
    this.element = h(
      'div',
      { class: 'histogram' },
      s(
        'svg',
        { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
        ...bars,
        this.#mark,
        ...ticks,
      ),
      this.#words,
    );
    this.#words.textContent = `The ratings of ${count.toLocaleString('en')} images of AGIQA-3K.`;
  }

  #x(score: number): number {
    const { bins, binWidth } = this.#rated;
    return Math.max(0, Math.min(width, (score / (bins.length * binWidth)) * width));
  }

  show(score: number): void {
    const { count, error } = this.#rated;
    const [x, left, right] = [score, score - error.rmse, score + error.rmse].map((value) =>
      this.#x(value),
    ) as [number, number, number];
    this.#mark.replaceChildren(
      s('rect', { class: 'spread', x: left, y: 2, width: right - left, height: height - 16 }),
      s('line', { x1: x, x2: x, y1: 0, y2: height - 14 }),
    );
    const percent = Math.round(100 * placeOf(score, this.#rated));
    this.#words.textContent = `Higher than ${percent}% of ${count.toLocaleString('en')} rated images.`;
  }
}
