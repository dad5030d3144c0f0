import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../src/cli/progress.ts';

let written = '';
const wasTerminal = process.stderr.isTTY;

beforeEach(() => {
  written = '';
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
});
afterEach(() => {
  process.stderr.isTTY = wasTerminal;
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
