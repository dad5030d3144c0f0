/**
 * TensorBoard's event files, as far as scalars go. A file is a run of TFRecords: length (u64), its masked CRC-32C,
 * the data, their masked CRC-32C, all little-endian. A record's data are a protobuf message `Event` (tensorflow's
 * event.proto and summary.proto).
 */

import { bytesField, doubleField, floatField, integerField, type Message } from './protobuf.ts';

/** Named values of one step. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** A CRC of data that hold CRCs themselves is weak: TFRecords rotate it by 15 bits and add a constant. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Frames data as a TFRecord. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(8 + 4 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
}

/** The record every event file begins with. */
export function fileVersionRecord(wallTime: number): Uint8Array {
  return event([...doubleField(1, wallTime), ...bytesField(3, 'brain.Event:2')]);
}

/** One step's scalars; values that are not finite are left out, since a curve cannot show them. */
export function scalarsRecord({ wallTime, step, scalars }: ScalarEvent): Uint8Array {
  const values = Object.entries(scalars)
    .filter(([, value]) => Number.isFinite(value))
    .flatMap(([tag, value]) => bytesField(1, [...bytesField(1, tag), ...floatField(2, value)]));
  return event([...doubleField(1, wallTime), ...integerField(2, step), ...bytesField(5, values)]);
}

const event = (message: Message) => tfRecord(Buffer.concat(message));
