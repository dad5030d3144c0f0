/**
 * Protobuf messages, as far as they are written here (protobuf.dev/programming-guides/encoding): a field is a key of number and wire
 * type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes) and its value. A message is the list of its parts, so that tensors
 * of hundreds of megabytes go into a nested message without being copied.
 */
export type Message = readonly Uint8Array[];

export const byteLength = (message: Message): number =>
  message.reduce((total, { length }) => total + length, 0);

/** An unsigned or, in ten bytes, a negative whole number. */
export function integerField(field: number, value: number): Message {
  return [key(field, 0), varint(BigInt.asUintN(64, BigInt(value)))];
}

export function floatField(field: number, value: number): Message {
  return [key(field, 5), new Uint8Array(Float32Array.of(value).buffer)];
}

export function doubleField(field: number, value: number): Message {
  return [key(field, 1), new Uint8Array(Float64Array.of(value).buffer)];
}

/** A string, bytes or a nested message. */
export function bytesField(field: number, value: string | Uint8Array | Message): Message {
  const parts =
    typeof value === 'string'
      ? [new TextEncoder().encode(value)]
      : value instanceof Uint8Array
        ? [value]
        : value;
  return [key(field, 2), varint(BigInt(byteLength(parts))), ...parts];
}

/** Numbers packed into one field. */
export function packedIntegers(field: number, values: readonly number[]): Message {
  return bytesField(
    field,
    values.map((value) => varint(BigInt.asUintN(64, BigInt(value)))),
  );
}

const key = (field: number, wireType: number) => varint(BigInt((field << 3) | wireType));

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function varint(value: bigint): Uint8Array {
  const parts: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) parts.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...parts, Number(rest)]);
}
