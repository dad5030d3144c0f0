import { h } from '../../step/page/dom.ts';

const side = 420;

/** Predictions against ratings, a dot an image, on a canvas: there are hundreds. */
export class Scatter {
  readonly element: HTMLElement;
  readonly #canvas = h('canvas', {
    width: side,
    height: side,
    role: 'img',
    'aria-label': 'Predicted against rated: nothing yet',
  });

  constructor(title: string) {
    this.element = h('figure', { class: 'chart scatter' }, h('figcaption', {}, title), this.#canvas);
    this.#frame();
  }

  #frame(): CanvasRenderingContext2D {
    const context = this.#canvas.getContext('2d')!;
    const style = getComputedStyle(document.documentElement);
    context.clearRect(0, 0, side, side);
    context.strokeStyle = style.getPropertyValue('--line');
    context.strokeRect(0.5, 0.5, side - 1, side - 1);
    context.beginPath();
    context.moveTo(0, side);
    context.lineTo(side, 0);
    context.stroke();
    context.fillStyle = style.getPropertyValue('--accent');
    return context;
  }

  show(rated: ArrayLike<number>, predicted: ArrayLike<number>, largest = 5): void {
    const context = this.#frame();
    context.globalAlpha = 0.5;
    for (let i = 0; i < rated.length; i++) {
      context.beginPath();
      context.arc((rated[i]! / largest) * side, side - (predicted[i]! / largest) * side, 3.5, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    this.#canvas.setAttribute(
      'aria-label',
      `Predicted against rated, ${rated.length} images, from 0 to ${largest}`,
    );
  }
}
