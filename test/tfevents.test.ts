import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { crc32c, fileVersionRecord, scalarsRecord } from '../src/data/formats/tfevents.ts';

it('CRC-32C of the examples of RFC 3720, appendix B.4', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(ascending)).toBe(0x46dd794e);
  expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
});

it('writes byte for byte what TensorBoard writes', () => {
  const events: [number, Record<string, number>][] = [
    [1, { 'train/loss': 9.875, 'test/srcc': -0.1 }],
    [300, { 'train/loss': 1e-5 }],
    [2 ** 33, { ä: 3e38 }],
  ];
  const start = 1700000000.25;
  const records = events.map(([step, scalars]) => scalarsRecord({ wallTime: start + step, step, scalars }));
  const expected = readFileSync(new URL('./fixtures/tfevents/scalars.tfevents', import.meta.url));
  expect(Buffer.concat([fileVersionRecord(start), ...records]).equals(expected)).toBe(true);
});

it('leaves out what a curve cannot show', () => {
  const record = (scalars: Record<string, number>) => scalarsRecord({ wallTime: 1, step: 2, scalars });
  expect(record({ a: Number.NaN, b: 1, c: Infinity })).toEqual(record({ b: 1 }));
});
