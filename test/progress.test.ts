import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress, timeText } from '../src/cli/progress.ts';

let written = '';
const { isTTY, columns } = process.stderr;
const { TERM } = process.env;

beforeEach(() => {
  written = '';
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
});
afterEach(() => {
  Object.assign(process.stderr, { isTTY, columns });
  Object.assign(process.env, { TERM: TERM ?? '' });
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function bar(total: number, label: string): Progress {
  const progress = new Progress();
  progress.start(total, label);
  return progress;
}

/** Half a second an item. */
function work(progress: Progress, items: number): void {
  for (let i = 0; i < items; i++) {
    vi.advanceTimersByTime(500);
    progress.advance();
  }
}

test('without a terminal: a line every ten seconds with rate and time left', () => {
  process.stderr.isTTY = false;
  const progress = bar(400, 'encoding');
  work(progress, 19);
  expect(written).toBe('');
  work(progress, 22);
  progress.stop();
  expect(written).toBe('encoding: 20/400  2.0/s  3 min 10 s left\nencoding: 40/400  2.0/s  3 min 0 s left\n');
});

test('slow work shows the time an item takes', () => {
  process.stderr.isTTY = false;
  const progress = bar(400, 'training');
  vi.advanceTimersByTime(40_000);
  progress.advance();
  expect(written).toBe('training: 1/400  40.0 s each  4 h 26 min left\n');
});

test('on a terminal: a bar, and lines above it', () => {
  process.stderr.isTTY = true;
  const progress = bar(10, 'training');
  work(progress, 4);
  vi.advanceTimersByTime(500);
  expect(written).toMatch(/training .*4\/10 {2}2\.0\/s {2}3 s left/);
  Progress.line('epoch 1');
  vi.advanceTimersByTime(500);
  expect(written).toContain('epoch 1\n');
  progress.stop();
  written = '';
  Progress.line('done');
  expect(written).toBe('done\n'); // no bar is left to write above
});

test('a bar that stops leaves the other running', () => {
  process.stderr.isTTY = true;
  const outer = bar(10, 'outer');
  const inner = bar(10, 'inner');
  work(inner, 2);
  inner.stop();
  written = '';
  work(outer, 3);
  vi.advanceTimersByTime(500);
  expect(written).toMatch(/outer .*3\/10/);
  expect(written).not.toContain('inner');
  outer.stop();
});

/** The bar as it was drawn last in a terminal so many columns wide. */
function drawn(width: number, label: string, done: number, total: number): string {
  Object.assign(process.stderr, { isTTY: true, columns: width });
  const progress = bar(total, label);
  vi.advanceTimersByTime(1000 * done);
  progress.advance(done);
  vi.advanceTimersByTime(1000);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor
  const line = written.split(/\x1b\[[\d?]*[a-zA-Z]|\n/).findLast((part) => part.includes('left'))!;
  progress.stop();
  return line.trimEnd();
}

test.each([
  [100, /^scoring █{4}░{36} 1000\/10000 {2}1\.0\/s {2}2 h 30 min left$/],
  [60, /^scoring ██░{14} 1000\/10000 {2}1\.0\/s {2}2 h 30 min left$/],
  [48, /^scoring 1000\/10000 {2}1\.0\/s {2}2 h 30 min left$/],
  [40, /^scoring 1000\/10000 {2}2 h 30 min left$/],
  [32, /^sco 1000\/10000 {2}2 h 30 min left$/],
  [28, /^1000\/10000 {2}2 h 30 min left$/],
])('in %i columns the bar shrinks, then goes; count and time left stay', (width, line) => {
  const shown = drawn(width, 'scoring', 1000, 10_000);
  expect(shown).toMatch(line);
  expect(shown.length).toBeLessThan(width);
});

test('a terminal that cannot move its cursor gets lines', () => {
  process.stderr.isTTY = true;
  process.env.TERM = 'dumb';
  work(bar(400, 'encoding'), 21);
  expect(written).toBe('encoding: 20/400  2.0/s  3 min 10 s left\n');
});

test('a time is a whole number of its units', () => {
  const times = [0.2, 59.2, 60, 239.7, 3599.5, 3629, 7170, 86_400];
  expect(times.map(timeText)).toEqual([
    ...['1 s', '1 min 0 s', '1 min 0 s', '4 min 0 s'],
    ...['1 h 0 min', '1 h 0 min', '2 h 0 min', '24 h 0 min'],
  ]);
  expect(timeText(Infinity)).toBe('?');
});

test('silence keeps back bars and lines, but no warnings', async () => {
  vi.resetModules();
  const { Progress: silenced } = await import('../src/cli/progress.ts');
  silenced.silence();
  for (process.stderr.isTTY of [true, false]) {
    const progress = new silenced();
    progress.start(400, 'encoding');
    work(progress, 40);
    silenced.line('adapter');
    progress.stop();
  }
  expect(written).toBe('');
  silenced.warn('skipped');
  expect(written).toBe('skipped\n');
});
