import { h } from '../../step/page/dom.ts';
import { keepRecording } from '../../step/page/kept.ts';
import type { StepData } from '../../step/step-data.ts';
import { timeText } from '../../step/units.ts';
import type { TrainArgs } from '../protocol.ts';
import type { App, ViewDefinition } from './app.ts';
import { Stoppable } from './stoppable.ts';
import { trainArgsOf } from './train-settings.ts';

/** Records one training step on the visitor's GPU, for the step page. */
export const stepView: ViewDefinition = {
  id: 'step',
  title: 'One step',
  make: (app, query) => new StepView(app, trainArgsOf(query)).element,
};

class StepView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #args: TrainArgs;
  readonly #button = h(
    'button',
    {
      type: 'button',
      class: 'main',
      onclick: () => void this.#work.toggle((signal) => this.#record(signal)),
    },
    'Record a step',
  );
  readonly #bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the recording' });
  readonly #status = h(
    'p',
    { class: 'soft', role: 'status' },
    'Takes some seconds on a GPU, minutes on a processor.',
  );
  readonly #result = h('div', {});
  readonly #work: Stoppable;

  constructor(app: App, args: TrainArgs) {
    this.#app = app;
    this.#work = new Stoppable(
      this.#button,
      (text) => this.#say(text),
      (error) => {
        this.#say('');
        app.fail(error);
      },
      'Stopping…',
    );
    this.#args = args;
    this.element = h(
      'section',
      { class: 'panel' },
      h(
        'p',
        { class: 'lead' },
        'Records one step of training CLIP-AGIQA on this GPU, forward and backward, and opens it as a page of its own: the model’s line, the op and its gradient, the dispatch, its WGSL, the buffers, the time against the ceilings, and the values, each leading to the others.',
      ),
      h('div', { class: 'row' }, this.#button, this.#bar, this.#status),
      this.#result,
      h(
        'p',
        { class: 'soft small' },
        'Browsers round a GPU’s clock to about 0.1 ms, in which most dispatches begin and end. Where that is so, each is repeated in a row until it takes a few milliseconds, and its time is the mean. ',
        h('code', {}, 'node dist/step.js'),
        ' times each dispatch as it runs.',
      ),
    );
    app.opened.catch(() => {
      this.#button.disabled = true;
    });
  }

  async #record(signal: AbortSignal): Promise<void> {
    this.#bar.value = 0;
    this.#result.replaceChildren();
    this.#say('Reading what each op makes, and comparing it with float64…');
    await this.#app.opened;
    const data = await this.#app.engine.call('step', this.#args, {
      signal,
      tell: (share) => {
        this.#bar.value = share;
        this.#say(`Timing replays: ${Math.round(100 * share)}%.`);
      },
    });
    await keepRecording(data);
    this.#bar.value = 1;
    this.#say('Recorded.');
    this.#result.replaceChildren(...summary(data));
  }

  #say(text: string): void {
    this.#status.textContent = text;
  }
}

function summary(data: StepData): HTMLElement[] {
  const { dispatches, times, ops } = data;
  const repeated = dispatches.filter(({ repeats = 1 }) => repeats > 1).length;
  const notes = [
    `${dispatches.length} dispatches of ${ops.length} ops and gradients; a step takes ${timeText(times.wall)}, ${timeText(times.host)} of it on the host.`,
    ...(repeated > 0
      ? [`The clock moves by ${timeText(data.resolution)}, so ${repeated} dispatches were repeated.`]
      : []),
  ];
  return [
    h('p', {}, notes.join(' ')),
    h('p', { class: 'row' }, h('a', { class: 'button', href: 'step.html' }, 'Open the step')),
  ];
}
