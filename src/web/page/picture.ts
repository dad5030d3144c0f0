import { h } from '../../step/page/dom.ts';
import type { Changes, MapsResult, View } from '../protocol.ts';

type Circle = Changes['hidden'][number];

/** Okabe and Ito's blue and vermilion, told apart by every kind of color vision, and yellow for what has no sign. */
const colors = { raises: [0, 114, 178], lowers: [213, 94, 0], looks: [240, 228, 66] } as const;

/** The image, a map over it, and a brush that hides parts of it. */
export class Picture {
  readonly element: HTMLElement;
  readonly #canvas = h('canvas', { width: 448, height: 448 });
  readonly #overlay = h('canvas', { class: 'overlay', width: 448, height: 448, 'aria-hidden': 'true' });
  readonly #onBrush: (circle: Circle) => void;
  brushing = false;
  brushRadius = 0.08;
  #painting = false;

  constructor(onBrush: (circle: Circle) => void) {
    this.#onBrush = onBrush;
    this.element = h(
      'div',
      { class: 'picture', role: 'img', 'aria-label': 'No image yet' },
      this.#canvas,
      this.#overlay,
    );
    const at = (event: PointerEvent) => {
      const box = this.element.getBoundingClientRect();
      this.#onBrush({
        x: (event.clientX - box.left) / box.width,
        y: (event.clientY - box.top) / box.height,
        radius: this.brushRadius,
      });
    };
    this.element.addEventListener('pointerdown', (event) => {
      if (!this.brushing) return;
      this.#painting = true;
      this.element.setPointerCapture(event.pointerId);
      at(event);
    });
    this.element.addEventListener('pointermove', (event) => {
      if (this.#painting) at(event);
    });
    for (const name of ['pointerup', 'pointercancel'] as const)
      this.element.addEventListener(name, () => {
        this.#painting = false;
      });
  }

  show({ side, rgba }: View, label: string): void {
    this.#canvas.width = this.#canvas.height = side;
    this.#canvas.getContext('2d')!.putImageData(new ImageData(rgba, side, side), 0, 0);
    this.element.setAttribute('aria-label', label);
  }

  /** Draws a map over the image; none takes it away. */
  map(maps: MapsResult | null, kind: 'relevance' | 'attention'): void {
    const context = this.#overlay.getContext('2d')!;
    context.clearRect(0, 0, this.#overlay.width, this.#overlay.height);
    this.element.classList.toggle('gray', maps !== null);
    if (!maps) return;
    const values = maps[kind];
    const sorted = Array.from(values, Math.abs).sort((a, b) => a - b);
    const top = Math.max(Number.MIN_VALUE, sorted[Math.floor(0.99 * (sorted.length - 1))]!);
    const small = new ImageData(maps.side, maps.side);
    for (const [i, value] of values.entries()) {
      const color = kind === 'attention' ? colors.looks : value < 0 ? colors.lowers : colors.raises;
      small.data.set([...color, 217 * Math.min(1, Math.abs(value) / top)], 4 * i);
    }
    const canvas = new OffscreenCanvas(maps.side, maps.side);
    canvas.getContext('2d')!.putImageData(small, 0, 0);
    context.imageSmoothingQuality = 'high';
    context.drawImage(canvas, 0, 0, this.#overlay.width, this.#overlay.height);
  }
}
