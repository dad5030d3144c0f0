import { h } from '../../step/page/dom.ts';
import type { TrainArgs } from '../protocol.ts';
import type { App, ViewDefinition } from './app.ts';
import { downloadLink } from './download.ts';
import { LineChart } from './line-chart.ts';
import { Scatter } from './scatter.ts';
import { Stoppable } from './stoppable.ts';
import { fieldNames, fields, optionOf, queryOf, trainArgsOf, trainers, unusual } from './train-settings.ts';

/** Trains prompts and head on the rated images that come with the page. */
export const trainView: ViewDefinition = {
  id: 'train',
  title: 'Train it',
  make: (app, query) => new TrainView(app, query).element,
};

class TrainView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #form: HTMLFormElement;
  readonly #button = h('button', { type: 'submit', class: 'main' }, 'Train');
  readonly #status = h('p', { class: 'soft', role: 'status' });
  readonly #bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the training' });
  readonly #loss = new LineChart({ title: 'Training loss', class: 'loss', digits: 3, range: [0, 1] });
  readonly #srcc = new LineChart({
    title: 'Rank correlation (SRCC) on unseen images',
    class: 'srcc',
    digits: 3,
    range: [0, 1],
  });
  readonly #scatter = new Scatter('Predicted (up) against rated, unseen images');
  readonly #command = h('code', {});
  readonly #step = h('a', {}, 'one of its steps, dispatch by dispatch');
  readonly #result = h('p', { class: 'row' });
  readonly #work: Stoppable;

  constructor(app: App, query: URLSearchParams) {
    this.#app = app;
    this.#work = new Stoppable(
      this.#button,
      (text) => this.#say(text),
      (error) => {
        this.#say('');
        app.fail(error);
      },
    );
    const asked = trainArgsOf(query);
    const select = h(
      'select',
      { id: 'trainer', name: 'trainer' },
      ...Object.entries(trainers).map(([value, text]) =>
        h('option', { value, selected: asked.trainer === value }, text),
      ),
    );
    const inputs = fieldNames.map((name) => {
      const { label, min, max, step } = fields[name];
      const value = asked[name];
      return h(
        'div',
        { class: 'field' },
        h('label', { for: name }, label),
        h('input', {
          id: name,
          name,
          type: 'number',
          inputmode: 'decimal',
          min,
          max,
          step: step === 0.00001 ? 'any' : step,
          value,
          required: true,
        }),
      );
    });
    this.#form = h(
      'form',
      {
        class: 'fields',
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          void this.#work.toggle((signal) => this.#train(signal));
        },
        oninput: () => this.#noteSettings(),
      },
      h('div', { class: 'field' }, h('label', { for: 'trainer' }, 'What learns'), select),
      ...inputs,
      h('div', { class: 'field go' }, this.#button),
    );
    this.element = h(
      'section',
      { class: 'panel training' },
      h(
        'p',
        { class: 'lead' },
        'Prompts and head learn from 2,385 rated images and are tried on 597 others. Their features come with the page; the training runs on your GPU, captured once and replayed every step.',
      ),
      this.#form,
      h('div', { class: 'progress' }, this.#bar, this.#status),
      h('div', { class: 'charts' }, this.#loss.element, this.#srcc.element, this.#scatter.element),
      this.#result,
      h('p', { class: 'soft small' }, 'The same training in Node: ', this.#command),
      h('p', { class: 'soft small' }, 'Look inside: ', this.#step, '.'),
    );
    this.#noteSettings(false);
  }

  get #args(): TrainArgs {
    const data = new FormData(this.#form);
    const numbers = Object.fromEntries(fieldNames.map((name) => [name, Number(data.get(name))]));
    return { trainer: data.get('trainer'), ...numbers } as unknown as TrainArgs;
  }

  /** In the address, so that a link has them, and as a command. */
  #noteSettings(address = true): void {
    const args = this.#args;
    const query = queryOf(args);
    if (address) history.replaceState(null, '', `#train${query}`);
    this.#step.href = `#step${query}`;
    const options = unusual(args).map((name) => `${optionOf(name)} ${args[name]}`);
    this.#command.textContent = [
      'node dist/train.js --config small_clip --root AGIQA-3K --cache-type float16',
      `--trainer ${args.trainer}`,
      ...options,
    ].join(' ');
  }

  async #train(signal: AbortSignal): Promise<void> {
    this.#result.replaceChildren();
    const args = this.#args;
    this.#loss.start(args.epochs);
    this.#srcc.start(args.epochs);
    this.#bar.value = 0;
    this.#say('Loading features and compiling kernels…');
    await this.#app.opened;
    const rated = await this.#app.engine.call('heldOut', {});
    const { file } = await this.#app.engine.call('train', args, {
      signal,
      tell: ({ epoch, loss, srcc, predictions, milliseconds }) => {
        this.#loss.add(loss);
        if (srcc !== null) this.#srcc.add(srcc);
        this.#scatter.show(rated, predictions);
        this.#bar.value = epoch / args.epochs;
        const each = milliseconds / epoch;
        const left = Math.ceil((each * (args.epochs - epoch)) / 1000);
        this.#say(
          `Epoch ${epoch} of ${args.epochs}, ${each < 1000 ? `${Math.round(each)} ms` : `${(each / 1000).toFixed(1)} s`} each${left > 0 ? `, ${left} s left` : ''}.`,
        );
        document.documentElement.dataset.epoch = String(epoch);
      },
    });
    this.#result.replaceChildren(
      downloadLink(file, 'model.safetensors', 'Download model.safetensors'),
      h(
        'span',
        { class: 'soft' },
        'Score with it: ',
        h('code', {}, 'node dist/score.js images/ --model model.safetensors'),
      ),
    );
  }

  #say(text: string): void {
    this.#status.textContent = text;
  }
}
