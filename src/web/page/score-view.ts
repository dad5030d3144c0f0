import { relevanceText } from '../../explain/words.ts';
import { choice, h } from '../../step/page/dom.ts';
import { Newest } from '../client.ts';
import { type Changes, type MapsResult, noChanges, type ScoreResult } from '../protocol.ts';
import type { App, ViewDefinition } from './app.ts';
import { dropZone } from './drop-zone.ts';
import { Histogram } from './histogram.ts';
import { Picture } from './picture.ts';
import type { Example } from './rated.ts';
import { Slider } from './slider.ts';

const looks = ['image', 'why', 'where it looks', 'hide parts'] as const;
type Look = (typeof looks)[number];

const hints: Readonly<Record<Look, string>> = {
  image: 'The square in the middle is what the model sees.',
  why: 'Blue speaks for a higher score, orange for a lower one.',
  'where it looks': 'What the last block attends to. It says little about why: look at “why” for that.',
  'hide parts': 'Paint over a part to cover it with the mean color, and watch the score.',
};

/** Scores an image, and shows what the score depends on. */
export const scoreView: ViewDefinition = {
  id: 'score',
  title: 'Score an image',
  make: (app) => new ScoreView(app).element,
};

class ScoreView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #score = h('p', { class: 'score', 'aria-live': 'polite' }, '–');
  readonly #spread = h('p', { class: 'soft' });
  readonly #histogram: Histogram;
  readonly #picture: Picture;
  readonly #hint = h('p', { class: 'soft small' }, hints.image);
  readonly #looks = h('div', { class: 'looks' });
  readonly #reset = h(
    'button',
    { type: 'button', disabled: true, onclick: () => this.#undo() },
    'Undo changes',
  );
  readonly #about = h('p', { class: 'soft small' });
  readonly #sliders: readonly [Slider, Slider, Slider];
  readonly #examples: HTMLElement;
  readonly #changing: Newest<Changes>;
  #look: Look = 'image';
  #hidden: Changes['hidden'] = [];
  #maps: MapsResult | null = null;
  #plain = 0;
  #name = '';

  constructor(app: App) {
    this.#app = app;
    this.#histogram = new Histogram(app.rated);
    this.#picture = new Picture((circle) => {
      this.#hidden = [...this.#hidden, circle];
      this.#change();
    });
    this.#changing = new Newest((changes) => this.#rescore(changes));
    const slider = (
      label: string,
      min: number,
      max: number,
      step: number,
      off: number,
      say: (value: number) => string,
    ) => new Slider({ label, min, max, step, off, say, onInput: () => this.#change() });
    this.#sliders = [
      slider('JPEG', 2, 100, 1, 100, (value) => (value === 100 ? 'off' : `quality ${value}`)),
      slider('Blur', 0, 8, 0.25, 0, (value) => (value === 0 ? 'off' : `${value} px`)),
      slider('Noise', 0, 80, 2, 0, (value) => (value === 0 ? 'off' : `${value} of 255`)),
    ];
    this.#examples = h(
      'div',
      { class: 'examples', role: 'group', 'aria-label': 'Example images' },
      ...app.examples.map((example) =>
        h(
          'button',
          {
            type: 'button',
            title: `Rated ${example.mos.toFixed(2)}`,
            'aria-label': `Score example ${example.name}`,
            onclick: () => void this.#example(example),
          },
          h('img', { src: `data/examples/${example.file}`, alt: '', width: 64, height: 64, loading: 'lazy' }),
        ),
      ),
    );
    const pick = dropZone(this.#picture.element, ([file]) => void this.#file(file!), {
      id: 'file',
      many: false,
      text: 'Choose an image',
    });
    this.element = h(
      'section',
      { class: 'panel scoring' },
      h('div', {}, this.#picture.element, this.#looks, this.#hint),
      h(
        'div',
        { class: 'figures' },
        h('p', { class: 'soft' }, 'Predicted mean opinion score, from 0 (worst) to 5 (best)'),
        this.#score,
        this.#spread,
        this.#histogram.element,
        pick,
        this.#examples,
        h('h2', {}, 'What if?'),
        h('div', { class: 'sliders' }, ...this.#sliders.map(({ element }) => element)),
        h('div', { class: 'row' }, this.#reset, this.#about),
      ),
    );
    this.#drawLooks();
    const [first] = app.examples;
    if (first) void this.#example(first);
  }

  async #example(example: Example): Promise<void> {
    try {
      const response = await fetch(`data/examples/${example.file}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      this.#score.classList.add('waiting');
      await this.#app.opened.catch(() => {
        // There is no engine; what Node gave is better than nothing.
        this.#score.textContent = example.score.toFixed(2);
        this.#about.textContent = 'Computed beforehand: nothing can be computed in this browser.';
        this.#histogram.show(example.score);
        throw undefined;
      });
      await this.#scoreBytes(bytes, `${example.name}, rated ${example.mos.toFixed(2)} by people`);
    } catch (error) {
      if (error !== undefined) this.#app.fail(error);
    }
  }

  async #file(file: File): Promise<void> {
    try {
      await this.#app.opened;
      await this.#scoreBytes(new Uint8Array(await file.arrayBuffer()), file.name);
    } catch (error) {
      this.#app.fail(error);
    }
  }

  async #scoreBytes(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<void> {
    this.#score.classList.add('waiting');
    try {
      const result = await this.#app.engine.call('score', { bytes, name });
      this.#plain = result.score;
      this.#name = name;
      this.#hidden = [];
      for (const slider of this.#sliders) {
        slider.reset([Math.max(-0.5, result.score - 2.5), Math.min(5, result.score + 1)]);
        slider.note(slider.value, result.score);
      }
      await this.#show(result);
    } finally {
      this.#score.classList.remove('waiting');
    }
  }

  get #changes(): Changes {
    const [jpeg, blur, noise] = this.#sliders.map(({ value }) => value) as [number, number, number];
    return { hidden: this.#hidden, jpeg: jpeg === 100 ? 0 : jpeg, blur, noise };
  }

  #change(): void {
    void this.#changing.ask(this.#changes);
  }

  #undo(): void {
    this.#hidden = [];
    for (const slider of this.#sliders)
      slider.reset([Math.max(-0.5, this.#plain - 2.5), Math.min(5, this.#plain + 1)]);
    void this.#changing.ask(noChanges);
  }

  async #rescore(changes: Changes): Promise<void> {
    try {
      const result = await this.#app.engine.call('change', changes);
      const { hidden, jpeg, blur, noise } = changes;
      const only = [jpeg, blur, noise].map((value) => value !== 0);
      for (const [i, slider] of this.#sliders.entries())
        if (hidden.length === 0 && only.every((on, other) => other === i || !on))
          slider.note([jpeg || 100, blur, noise][i]!, result.score);
      await this.#show(result);
    } catch (error) {
      this.#app.fail(error);
    }
  }

  async #show(result: ScoreResult): Promise<void> {
    const { score, view, width, height, milliseconds } = result;
    this.#score.textContent = score.toFixed(2);
    const { rmse, images } = this.#app.rated.error;
    this.#spread.textContent = `give or take ${rmse.toFixed(2)}: the typical error on ${images} images it had not seen`;
    this.#histogram.show(score);
    const change = score - this.#plain;
    const changed = this.#reset.disabled
      ? ''
      : `, ${change < 0 ? '−' : '+'}${Math.abs(change).toFixed(2)} by the changes`;
    this.#picture.show(view, `${this.#name}: score ${score.toFixed(2)}${changed}`);
    this.#maps = null;
    const { jpeg, blur, noise, hidden } = this.#changes;
    this.#reset.disabled = jpeg === 0 && blur === 0 && noise === 0 && hidden.length === 0;
    const difference = this.#reset.disabled
      ? ''
      : `${change < 0 ? '−' : '+'}${Math.abs(change).toFixed(2)} against the image as it was. `;
    this.#about.textContent = `${difference}${this.#name}, ${width} × ${height} pixels, ${milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`}.`;
    document.documentElement.dataset.score = String(score);
    await this.#drawMap();
  }

  #drawLooks(): void {
    this.#looks.replaceChildren(choice('Show', looks, this.#look, (look) => void this.#choose(look)));
  }

  async #choose(look: Look): Promise<void> {
    this.#look = look;
    this.#picture.brushing = look === 'hide parts';
    this.#picture.element.classList.toggle('brush', this.#picture.brushing);
    this.#hint.textContent = hints[look];
    this.#drawLooks();
    await this.#drawMap();
  }

  async #drawMap(): Promise<void> {
    const kind = this.#look === 'why' ? 'relevance' : this.#look === 'where it looks' ? 'attention' : null;
    if (!kind) {
      this.#picture.map(null, 'relevance');
      return;
    }
    try {
      if (!this.#maps) this.#hint.textContent = 'Computing…';
      this.#maps ??= await this.#app.engine.call('explain', {});
      this.#hint.textContent = hints[this.#look];
      this.#picture.map(this.#maps, kind);
      if (kind === 'relevance')
        this.#hint.textContent = `${hints.why} In words: ${relevanceText(this.#maps.relevance)}.`;
    } catch (error) {
      this.#app.fail(error);
    }
  }
}
