import { expect, test } from 'vitest';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToFloat16,
  floatToHalf,
  halfToFloat,
} from '../src/data/formats/float16.ts';

// Values of the format's own definition: IEEE 754-2008, binary16.
const known: [number, number][] = [
  [0x0000, 0],
  [0x8000, -0],
  [0x3c00, 1],
  [0xc000, -2],
  [0x3555, 0.333251953125],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x03ff, (1023 / 1024) * 2 ** -14],
  [0x0001, 2 ** -24],
  [0x7c00, Number.POSITIVE_INFINITY],
  [0xfc00, Number.NEGATIVE_INFINITY],
];

test('known float16 values, both ways', () => {
  for (const [bits, value] of known) {
    expect(halfToFloat(bits)).toBe(value);
    expect(floatToHalf(value)).toBe(bits);
  }
  expect(floatToHalf(1 / 3)).toBe(0x3555);
  expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN();
});

test('every one of the 65536 patterns survives the round trip', () => {
  const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const back = float32ToFloat16(float16ToFloat32(patterns));
  const isNan = (bits: number) => (bits & 0x7fff) > 0x7c00;
  // A NaN stays one (quiet), all else is exact.
  expect(patterns.every((bits, i) => (isNan(bits) ? isNan(back[i]!) : back[i] === bits))).toBe(true);
});

test('midpoints go to the even neighbor, all else to the nearest', () => {
  const around = new Float32Array(1);
  const aroundBits = new Uint32Array(around.buffer);
  for (let bits = 0; bits < 0x7bff; bits++) {
    const middle = (halfToFloat(bits) + halfToFloat(bits + 1)) / 2;
    const even = bits % 2 === 0 ? bits : bits + 1;
    around[0] = middle;
    aroundBits[0]! -= 1;
    const below = floatToHalf(around[0]!);
    aroundBits[0]! += 2;
    const above = floatToHalf(around[0]!);
    if (floatToHalf(middle) !== even || below !== bits || above !== bits + 1) {
      expect.fail(`at 0x${bits.toString(16)}`);
    }
    if (floatToHalf(-middle) !== (even | 0x8000)) expect.fail(`at -0x${bits.toString(16)}`);
  }
});

test('overflow begins at 65520, underflow ends at 2^-25', () => {
  expect(floatToHalf(65519.996)).toBe(0x7bff);
  expect(floatToHalf(65520)).toBe(0x7c00);
  expect(floatToHalf(-1e10)).toBe(0xfc00);
  expect(floatToHalf(2 ** -25)).toBe(0);
  expect(floatToHalf(2 ** -25 + 2 ** -48)).toBe(1);
  expect(floatToHalf(-(2 ** -60))).toBe(0x8000);
});

test('bfloat16 is the upper half of float32', () => {
  expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc049, 0x7f80, 0x0000))]).toEqual([
    1,
    -3.140625,
    Number.POSITIVE_INFINITY,
    0,
  ]);
});
