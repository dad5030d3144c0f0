import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { metricsOf } from '../src/data/metrics/evaluation.ts';
import { TensorBoardLog } from '../src/training/tensorboard.ts';
import type { EpochRecord } from '../src/training/training-state.ts';
import { parseEvents } from './event-file.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('tensorboard');

/** Events of the folder's only event file. */
function readEvents() {
  const names = readdirSync(folder).filter((name) => name.startsWith('events.out.tfevents.'));
  expect(names).toHaveLength(1);
  return parseEvents(readFileSync(join(folder, names[0]!)));
}

const record = (epoch: number): EpochRecord => ({
  epoch,
  lr: 0.5 ** epoch,
  loss: 4 / epoch,
  seconds: 8,
  val: null,
  test: { ...metricsOf([1, 2, 4], [1, 3, 2]), srcc: epoch === 1 ? Number.NaN : 0.25 },
  ...(epoch === 2 ? { accuracy: { val: null, test: 0.75 } } : {}),
});

it('appends an event an epoch, with loss, rate and the metrics there are', async () => {
  const log = await TensorBoardLog.open(folder);
  log.write([record(1)]);
  expect(readEvents().events).toHaveLength(1);
  log.write([record(1), record(2)]);
  const { version, events } = readEvents();
  expect(version).toBe('brain.Event:2');
  expect(events.map(({ step }) => step)).toEqual([1, 2]);
  expect(events[0]!.scalars).toMatchObject({ 'train/loss': 4, 'train/learning_rate': 0.5 });
  expect(Object.keys(events[0]!.scalars)).not.toContain('test/srcc'); // not defined
  expect(events[1]!.scalars).toMatchObject({ 'train/loss': 2, 'test/srcc': 0.25, 'test/accuracy': 0.75 });
  expect(Object.keys(events[1]!.scalars).filter((tag) => tag.startsWith('val/'))).toEqual([]);
  expect(Math.abs(events[1]!.wallTime - Date.now() / 1000)).toBeLessThan(60);
});

it('takes the place of an earlier file, and writes the epochs before a resumption at their times', async () => {
  writeFileSync(join(folder, 'events.out.tfevents.1600000000.elsewhere.1'), 'old');
  const log = await TensorBoardLog.open(folder);
  log.write([record(1), record(2), record(3)]);
  const { events } = readEvents();
  expect(events.map(({ step }) => step)).toEqual([1, 2, 3]);
  expect(events[1]!.wallTime - events[0]!.wallTime).toBeCloseTo(8, 3);
  expect(events[2]!.wallTime - events[1]!.wallTime).toBeCloseTo(8, 3);
  log.write([record(1), record(2), record(3), record(4)]);
  expect(readEvents().events).toHaveLength(4);
});
