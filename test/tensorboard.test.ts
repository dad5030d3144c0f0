import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { metricsOf } from '../src/data/evaluation.ts';
import { crc32c } from '../src/data/tfevents.ts';
import type { EpochRecord } from '../src/training/loop.ts';
import { TensorBoardLog } from '../src/training/tensorboard.ts';

const folder = mkdtempSync(join(tmpdir(), 'tensorboard-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Field = number | bigint | Buffer;

/** The fields of a protobuf message, by number and in order: a reader apart from the writer. */
function fields(message: Buffer): [number, Field][] {
  const found: [number, Field][] = [];
  let at = 0;
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => message.subarray(at, (at += length));
  while (at < message.length) {
    const key = Number(varint());
    const read = {
      0: varint,
      1: () => take(8).readDoubleLE(),
      2: () => take(Number(varint())),
      5: () => take(4).readFloatLE(),
    }[key & 7]!;
    found.push([key >> 3, read()]);
  }
  return found;
}

interface Scalars {
  wallTime: number;
  step: number;
  scalars: Record<string, number>;
}

/** Events of a folder's only event file, every checksum verified. */
function readEvents(): { version: string; events: Scalars[] } {
  const names = readdirSync(folder).filter((name) => name.startsWith('events.out.tfevents.'));
  expect(names).toHaveLength(1);
  const file = readFileSync(join(folder, names[0]!));
  const masked = (bytes: Buffer) => {
    const crc = BigInt(crc32c(bytes));
    return Number((((crc >> 15n) | ((crc << 17n) & 0xffffffffn)) + 0xa282ead8n) % 2n ** 32n);
  };
  const messages: [number, Field][][] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(masked(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(masked(data));
    messages.push(fields(data));
    at += 16 + length;
  }
  const [head, ...rest] = messages.map((message) => new Map(message));
  const events = rest.map((event) => ({
    wallTime: event.get(1) as number,
    step: Number(event.get(2)),
    scalars: Object.fromEntries(
      fields(event.get(5) as Buffer).map(([, value]) => {
        const scalar = new Map(fields(value as Buffer));
        return [String(scalar.get(1)), scalar.get(2) as number];
      }),
    ),
  }));
  return { version: String(head!.get(3)), events };
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
