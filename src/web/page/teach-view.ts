import { h } from '../../step/page/dom.ts';
import type { TaughtImage } from '../protocol.ts';
import type { App, ViewDefinition } from './app.ts';
import { downloadLink } from './download.ts';
import { dropZone } from './drop-zone.ts';
import { Stoppable } from './stoppable.ts';

/** The user rates images, and a head learns from that. */
export const teachView: ViewDefinition = {
  id: 'teach',
  title: 'Teach it your taste',
  make: (app, query) => new TeachView(app, Number(query.get('epochs')) || usualEpochs).element,
};

const usualEpochs = 40;
const fewest = 6;

interface Card {
  readonly image: TaughtImage;
  readonly element: HTMLElement;
  readonly said: HTMLElement;
  rating: number | undefined;
}

class TeachView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #epochs: number;
  readonly #cards = new Map<number, Card>();
  readonly #list = h('ul', { class: 'cards', 'aria-label': 'Images to rate' });
  readonly #button = h(
    'button',
    {
      type: 'button',
      class: 'main',
      disabled: true,
      onclick: () =>
        void this.#work.toggle((signal) => this.#teach(signal).finally(() => (this.#bar.value = 0))),
    },
    'Teach',
  );
  readonly #bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the training' });
  readonly #status = h('p', { class: 'soft', role: 'status' }, 'No images yet.');
  readonly #result = h('div', {});
  readonly #work: Stoppable;

  constructor(app: App, epochs: number) {
    this.#app = app;
    this.#work = new Stoppable(
      this.#button,
      (text) => this.#say(text),
      (error) => app.fail(error),
    );
    this.#epochs = epochs;
    this.element = h('section', { class: 'panel teaching' });
    const pick = dropZone(this.element, (files) => void this.#take(files), {
      id: 'taste',
      many: true,
      text: 'Choose images',
    });
    this.element.append(
      h(
        'p',
        { class: 'lead' },
        'Choose about twenty images of your own, rate each from 1 to 5 stars, and a head learns your taste here. You leave with a file that scores any number of images on the command line.',
      ),
      pick,
      this.#list,
      h('div', { class: 'row' }, this.#button, this.#bar, this.#status),
      this.#result,
    );
  }

  async #take(files: readonly File[]): Promise<void> {
    try {
      await this.#app.opened;
    } catch {
      return; // has been said
    }
    for (const [i, file] of files.entries())
      try {
        this.#say(`Reading ${i + 1} of ${files.length}…`);
        const bytes = new Uint8Array(await file.arrayBuffer());
        this.#add(await this.#app.engine.call('taught', { bytes, name: file.name }), file.name);
      } catch (error) {
        this.#app.fail(error);
      }
    this.#count();
  }

  #add(image: TaughtImage, name: string): void {
    const { side, rgba } = image.view;
    const canvas = h('canvas', { width: side, height: side, role: 'img', 'aria-label': name });
    canvas.getContext('2d')!.putImageData(new ImageData(rgba, side, side), 0, 0);
    const said = h('p', { class: 'soft small said' }, `the page says ${image.score.toFixed(1)}`);
    const stars = h('fieldset', { class: 'stars' }, h('legend', { class: 'sr' }, `Your rating of ${name}`));
    for (let rating = 1; rating <= 5; rating++) {
      const id = `rate-${image.id}-${rating}`;
      stars.append(
        h('input', {
          type: 'radio',
          id,
          name: `rate-${image.id}`,
          value: rating,
          class: 'sr',
          onchange: () => this.#rate(image.id, rating),
        }),
        h(
          'label',
          { for: id, title: `${rating} of 5` },
          h('span', { class: 'sr' }, `${rating} of 5`),
          h('span', { 'aria-hidden': 'true' }, '★'),
        ),
      );
    }
    const drop = h(
      'button',
      {
        type: 'button',
        class: 'drop',
        'aria-label': `Remove ${name}`,
        title: 'Remove',
        onclick: () => void this.#remove(image.id),
      },
      '×',
    );
    const element = h('li', {}, canvas, drop, stars, said);
    this.#cards.set(image.id, { image, element, said, rating: undefined });
    this.#list.append(element);
  }

  #rate(id: number, rating: number): void {
    const card = this.#cards.get(id)!;
    card.rating = rating;
    card.element.dataset.rating = String(rating);
    this.#count();
  }

  async #remove(id: number): Promise<void> {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
    this.#count();
    await this.#app.engine.call('untaught', { id });
  }

  #count(): void {
    const rated = [...this.#cards.values()].filter(({ rating }) => rating !== undefined).length;
    this.#button.disabled = rated < fewest;
    this.#say(
      `${rated} of ${this.#cards.size} images rated${rated < fewest ? `; ${fewest} are the fewest, twenty are better` : ''}.`,
    );
  }

  async #teach(signal: AbortSignal): Promise<void> {
    this.#result.replaceChildren();
    const ratings = [...this.#cards.values()].flatMap(({ image, rating }) =>
      rating === undefined ? [] : [{ id: image.id, rating }],
    );
    this.#say('Compiling kernels…');
    const { file, foretold, predictions } = await this.#app.engine.call(
      'teach',
      { ratings, epochs: this.#epochs, seed: 1 },
      {
        signal,
        tell: (share) => {
          this.#bar.value = share;
          this.#say(`Training five heads: ${Math.round(100 * share)}%.`);
        },
      },
    );
    for (const { id, rating, foretold: unseen } of predictions)
      this.#cards.get(id)!.said.textContent =
        `your head says ${rating.toFixed(1)}; unseen, it said ${unseen.toFixed(1)}`;
    this.#say(`Taught on ${ratings.length} images.`);
    const { srcc, rmse } = foretold;
    const agreement =
      srcc === null
        ? 'Ratings of images it had not seen came out all the same'
        : `Of images it had not seen it foretold your ratings with a rank correlation of ${srcc.toFixed(2)}`;
    this.#result.replaceChildren(
      h(
        'p',
        {},
        `${agreement}, ${rmse.toFixed(2)} stars off (four heads, each without a quarter of your images). More images help most.`,
      ),
      h(
        'p',
        { class: 'row' },
        downloadLink(file, 'model.safetensors', 'Download model.safetensors'),
        h(
          'span',
          { class: 'soft' },
          'Score with it: ',
          h('code', {}, 'node dist/score.js images/ --model model.safetensors'),
        ),
      ),
    );
  }

  #say(text: string): void {
    this.#status.textContent = text;
  }
}
