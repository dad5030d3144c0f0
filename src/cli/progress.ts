import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import { printable } from '../common/printable.ts';

/** Without a terminal a bar is a line at most this often. */
const lineInterval = 10_000;

let bars: MultiBar | undefined;
/** Bars on show; the last to stop takes the display with it. */
let showing = 0;

/** A progress bar on stderr with rate and time left; in a log file, a line now and then. */
export class Progress {
  #bar: SingleBar | undefined;
  #label = '';
  #total = 0;
  #done = 0;
  #began = 0;
  #lastLine = 0;

  start(total: number, label: string): void {
    this.#label = label;
    this.#total = total;
    this.#began = performance.now();
    this.#lastLine = this.#began;
    if (!process.stderr.isTTY || total === 0) return;
    bars ??= new MultiBar(
      {
        format: '{label} {bar} {value}/{total}  {rate}  {left} left',
        clearOnComplete: true,
        hideCursor: true,
        // Ctrl-C is seen to in interrupt.ts: the package's own handler would not end the process.
        gracefulExit: false,
        stream: process.stderr,
      },
      Presets.shades_classic,
    );
    showing++;
    this.#bar = bars.create(total, 0, { label, rate: '', left: '' });
  }

  advance(items = 1): void {
    this.#done += items;
    const now = performance.now();
    const seconds = (now - this.#began) / 1000;
    const rate = this.#done / seconds;
    const payload = {
      label: this.#label,
      rate: rateText(rate),
      left: timeText((this.#total - this.#done) / rate),
    };
    this.#bar?.update(this.#done, payload);
    if (this.#bar || now - this.#lastLine < lineInterval) return;
    this.#lastLine = now;
    process.stderr.write(
      `${this.#label}: ${this.#done}/${this.#total}  ${payload.rate}  ${payload.left} left\n`,
    );
  }

  stop(): void {
    if (!this.#bar || !bars) return;
    this.#bar.stop();
    bars.remove(this.#bar);
    this.#bar = undefined;
    if (--showing > 0) return;
    clear();
  }

  /** A line (or several) on stderr, above the bars there are; control characters are shown escaped. */
  static line(text: string): void {
    const shown = printable(text, { lines: true });
    if (bars) bars.log(`${shown}\n`);
    else process.stderr.write(`${shown}\n`);
  }
}

/** Takes the display away and gives the terminal back its cursor. */
function clear(): void {
  bars?.stop();
  bars = undefined;
  showing = 0;
}

function rateText(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '';
  return perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(1 / perSecond).toFixed(1)} s each`;
}

/** A duration as people say it: 12 s, 3 min 20 s, 1 h 5 min. */
export function timeText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
