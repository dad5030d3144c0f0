import fc from 'fast-check';

/** A change of some bytes. Places count from the start, or from the end where negative, modulo the length. */
export type ByteEdit =
  | { readonly op: 'set'; readonly at: number; readonly value: number }
  | { readonly op: 'number'; readonly at: number; readonly width: 2 | 4 | 8; readonly value: string }
  | { readonly op: 'insert'; readonly at: number; readonly count: number; readonly value: number }
  | { readonly op: 'remove'; readonly at: number; readonly count: number }
  | { readonly op: 'copy'; readonly at: number; readonly from: number; readonly count: number }
  | { readonly op: 'end'; readonly at: number };

/** Headers stand at the beginning, directories at the end: most places are near one of them. */
const place = fc.oneof(
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.integer({ min: -300, max: -1 }) },
  { weight: 2, arbitrary: fc.nat(1_000_000) },
);
const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
/** Numbers at which counters and offsets break, as text: JSON knows no bigint. */
const edgeNumber = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    2n ** 15n,
    2n ** 16n - 1n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const count = fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 4000 }));

export const byteEdit: fc.Arbitrary<ByteEdit> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('set' as const), at: place, value: byte }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('number' as const),
      at: place,
      width: fc.constantFrom(2 as const, 4 as const, 8 as const),
      value: edgeNumber.map(String),
    }),
  },
  fc.record({ op: fc.constant('insert' as const), at: place, count, value: byte }),
  fc.record({ op: fc.constant('remove' as const), at: place, count }),
  fc.record({ op: fc.constant('copy' as const), at: place, from: place, count }),
  fc.record({ op: fc.constant('end' as const), at: place }),
);

export const byteEdits = (most = 6): fc.Arbitrary<ByteEdit[]> =>
  fc.array(byteEdit, { minLength: 1, maxLength: most });

/** Mostly none; `none` times as often as some. */
export const seldomEdited = (most: number, none: number): fc.Arbitrary<ByteEdit[]> =>
  fc.oneof(
    { weight: none, arbitrary: fc.constant<ByteEdit[]>([]) },
    { weight: 1, arbitrary: byteEdits(most) },
  );

export function editBytes(bytes: Uint8Array, edits: readonly ByteEdit[]): Buffer {
  let result = Buffer.from(bytes);
  for (const edit of edits) {
    if (result.length === 0) break;
    const at = inside(edit.at, result.length);
    switch (edit.op) {
      case 'set':
        result[at] = edit.value;
        break;
      case 'number': {
        const number = Buffer.alloc(8);
        number.writeBigUInt64LE(BigInt(edit.value));
        number.copy(result, at, 0, edit.width);
        break;
      }
      case 'insert':
        result = Buffer.concat([
          result.subarray(0, at),
          Buffer.alloc(edit.count, edit.value),
          result.subarray(at),
        ]);
        break;
      case 'remove':
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + edit.count)]);
        break;
      case 'copy': {
        const from = inside(edit.from, result.length);
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(from, from + edit.count),
          result.subarray(at),
        ]);
        break;
      }
      case 'end':
        result = result.subarray(0, at);
        break;
    }
  }
  return result;
}

/** A place within so many; `length` is positive. */
export const inside = (at: number, length: number): number => ((at % length) + length) % length;
