import { MultiBar, type SingleBar } from 'cli-progress';
import { environmentVariable } from '../common/environment.ts';
import { printable } from '../common/printable.ts';

/** Without a terminal a bar is a line at most this often. */
const lineInterval = 10_000;

/** Columns of the bar itself: the most that it takes, and the fewest that are worth showing. */
const barColumns = { most: 40, fewest: 6 };

let bars: MultiBar | undefined;
/** Bars on show; the last to stop takes the display with it. */
let showing = 0;
let quiet = false;

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
    if (quiet || !isTerminal() || total === 0) return;
    bars ??= new MultiBar({
      format: (_, params, text: BarText) => barLine({ ...text, ...params }, params.maxWidth),
      clearOnComplete: true,
      hideCursor: true,
      // Ctrl-C is seen to in interrupt.ts: the package's own handler would not end the process.
      gracefulExit: false,
      stream: process.stderr,
    });
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
    if (this.#bar || quiet || now - this.#lastLine < lineInterval) return;
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

  /** Ends all bars and lines to come, but for warnings: `--quiet`. */
  static silence(): void {
    quiet = true;
  }

  /** A line (or several) on stderr, above the bars there are; control characters are shown escaped. */
  static line(text: string): void {
    if (!quiet) Progress.warn(text);
  }

  /** A line as {@link Progress.line} writes it, of what went wrong: silence does not keep it back. */
  static warn(text: string): void {
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

/** Whether lines may be drawn over: a log file keeps each, and a terminal may say that it cannot move the cursor. */
const isTerminal = () => process.stderr.isTTY === true && environmentVariable('TERM') !== 'dumb';

interface BarText {
  readonly label: string;
  readonly rate: string;
  readonly left: string;
}

/**
 * A bar's line in a terminal so many columns wide: count and time left always, then what there is room for of the label, the
 * bar and the rate.
 */
function barLine(
  text: BarText & { readonly value: number; readonly total: number },
  columns: number,
): string {
  const { label, value, total, rate, left } = text;
  const end = (parts: readonly string[]) => parts.filter((part) => part !== '').join('  ');
  const figures = [`${value}/${total}`, rate, left && `${left} left`];
  // The last column stays free: some terminals begin a new line once it is written.
  const room = (tail: string) => columns - 1 - label.length - 1 - tail.length - 1;
  const full = end(figures);
  const bar = Math.min(barColumns.most, room(full));
  if (bar >= barColumns.fewest) {
    const done = Math.round((bar * value) / total);
    return `${label} ${'█'.repeat(done)}${'░'.repeat(bar - done)} ${full}`;
  }
  const tail = room(full) >= -1 ? full : end([figures[0]!, figures[2]!]);
  const shortened = label.slice(0, Math.max(0, columns - 2 - tail.length)).trimEnd();
  return shortened === '' ? tail : `${shortened} ${tail}`;
}

function rateText(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '';
  return perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(1 / perSecond).toFixed(1)} s each`;
}

/** A duration as people say it: 12 s, 3 min 20 s, 1 h 5 min. */
export function timeText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
