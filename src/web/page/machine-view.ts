import { h, table } from '../../step/page/dom.ts';
import type { MachineEvent, MachineResult } from '../protocol.ts';
import type { App, ViewDefinition } from './app.ts';
import { benchFile } from './bench-file.ts';
import { Stoppable } from './stoppable.ts';

/** What the visitor's GPU has, computes rightly, and how fast it is. */
export const machineView: ViewDefinition = {
  id: 'gpu',
  title: 'Your GPU',
  make: (app) => new MachineView(app).element,
};

const milliseconds = (time: number) => (time >= 10 ? time.toFixed(0) : time.toPrecision(2));

const figure = (value: number) =>
  value >= 10 ? Math.round(value).toLocaleString('en') : value.toPrecision(2);

class MachineView {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #button = h(
    'button',
    {
      type: 'button',
      class: 'main',
      onclick: () => void this.#work.toggle((signal) => this.#measure(signal)),
    },
    'Check and measure',
  );
  readonly #bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the measurement' });
  readonly #status = h(
    'p',
    { class: 'soft', role: 'status' },
    'Takes some seconds on a GPU, minutes on a processor.',
  );
  readonly #about = h('div', {});
  readonly #checks = h('ul', { class: 'checks', 'aria-label': 'What was checked' });
  readonly #ceilings = h('p', {});
  readonly #shapes = h('div', { class: 'wide' });
  readonly #result = h('p', { class: 'row' });
  #rows: MachineResult['shapes'][number][] = [];
  readonly #work: Stoppable;

  constructor(app: App) {
    this.#app = app;
    this.#work = new Stoppable(
      this.#button,
      (text) => this.#say(text),
      (error) => app.fail(error),
      'Stopping after this kernel…',
    );
    this.element = h(
      'section',
      { class: 'panel machine' },
      h(
        'p',
        { class: 'lead' },
        'Checks what this GPU computes against the definition, measures the most it can do, and times every variant of the kernels at the shapes of the model. The fastest right ones are used from then on, also at your next visit.',
      ),
      this.#about,
      h('div', { class: 'row' }, this.#button, this.#bar, this.#status),
      this.#checks,
      this.#ceilings,
      this.#shapes,
      this.#result,
    );
    app.opened.then(
      ({ adapter }) => {
        const { name, vendor, architecture, driver, features, subgroupMin, subgroupMax, software } = adapter;
        const rows = [
          [
            'adapter',
            [name, vendor, architecture].filter((word, i, all) => word && all.indexOf(word) === i).join(', '),
          ],
          ['driver', driver || 'kept by the browser'],
          ['kind', software ? 'software: the processor computes' : 'GPU'],
          ['optional features', features.join(', ') || 'none'],
          [
            'subgroups',
            subgroupMax > 0
              ? subgroupMin === subgroupMax
                ? `${subgroupMin} lanes`
                : `${subgroupMin} to ${subgroupMax} lanes`
              : 'none',
          ],
        ] as const;
        this.#about.replaceChildren(
          h('dl', {}, ...rows.flatMap(([term, text]) => [h('dt', {}, term), h('dd', {}, text)])),
        );
      },
      () => {
        this.#button.disabled = true;
      },
    );
  }

  async #measure(signal: AbortSignal): Promise<void> {
    this.#rows = [];
    this.#bar.value = 0;
    for (const part of [this.#checks, this.#ceilings, this.#shapes, this.#result]) part.replaceChildren();
    this.#say('Checking what it computes…');
    const result = await this.#app.engine.call('machine', {}, { signal, tell: (event) => this.#tell(event) });
    this.#say(`Done in ${Math.round(result.seconds)} s.`);
    this.#bar.value = 1;
    this.#offer(result);
    document.documentElement.dataset.measured = 'true';
  }

  #tell(event: MachineEvent): void {
    switch (event.kind) {
      case 'check': {
        const { name, wrong } = event.check;
        this.#checks.append(
          h(
            'li',
            { class: wrong === undefined ? 'right' : 'wrong', title: wrong },
            `${wrong === undefined ? '✓' : '✗'} ${name}`,
          ),
        );
        break;
      }
      case 'ceilings': {
        const { gflops, copyGBs } = event.ceilings;
        this.#ceilings.replaceChildren(
          'No kernel here can exceed ',
          h('b', {}, `${figure(gflops)} GFLOP/s`),
          ' of multiply-adds and ',
          h('b', {}, `${figure(copyGBs)} GB/s`),
          ' of copying.',
        );
        this.#say('Timing kernels…');
        break;
      }
      case 'shape':
        this.#rows.push(event.shape);
        this.#bar.value = event.share;
        this.#say(`Timing kernels: ${Math.round(100 * event.share)}%.`);
        this.#draw();
    }
  }

  #draw(): void {
    const rows = this.#rows.map(({ shape, variant, times, leftOut }) => {
      const ordered = Object.entries(times).sort(([, a], [, b]) => a - b);
      const others = ordered
        .filter(([name]) => name !== variant)
        .map(([name, time]) => `${name} ${milliseconds(time)}`);
      const wrong = Object.entries(leftOut).map(([name, why]) => `${name}: ${why}`);
      return [
        shape,
        variant,
        times[variant] === undefined ? '' : `${milliseconds(times[variant])} ms`,
        others.join(', '),
        wrong.join('; ') || 'all right',
      ];
    });
    this.#shapes.replaceChildren(
      table(
        ['kernel and shape', 'fastest', 'time', 'others, ms', 'against the reference'],
        rows,
        (column) => column === 2,
      ),
    );
  }

  #offer(result: MachineResult): void {
    const text = benchFile(result, navigator.userAgent, new Date());
    const copied = h('span', { class: 'soft', role: 'status' });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(text);
        copied.textContent = 'Copied. Save it in bench/results/ and run node dist/bench.js page.';
      } catch {
        copied.textContent = 'The browser does not allow copying; the figures stand above.';
      }
    };
    this.#result.replaceChildren(
      h('button', { type: 'button', onclick: () => void copy() }, 'Copy as JSON'),
      copied,
    );
  }

  #say(text: string): void {
    this.#status.textContent = text;
  }
}
