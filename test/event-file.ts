import { crc32c } from '../src/data/formats/tfevents.ts';

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

export interface Scalars {
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** Events of a TensorBoard event file, every checksum verified. */
export function parseEvents(file: Buffer): { readonly version: string; readonly events: readonly Scalars[] } {
  const masked = (bytes: Buffer) => {
    const crc = BigInt(crc32c(bytes));
    return Number((((crc >> 15n) | ((crc << 17n) & 0xffffffffn)) + 0xa282ead8n) % 2n ** 32n);
  };
  const messages: [number, Field][][] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    if (
      file.readUInt32LE(at + 8) !== masked(file.subarray(at, at + 8)) ||
      file.readUInt32LE(at + 12 + length) !== masked(data)
    )
      throw new Error(`an event file is damaged at byte ${at}`);
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
