/** IEEE 754 binary16 and bfloat16 to and from float32. Rounding is to nearest, ties to even. */

export const storageTypes = ['float32', 'float16'] as const;
/** How floating-point numbers are stored, where there is a choice; computation is in float32 either way. */
export type StorageType = (typeof storageTypes)[number];

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The float16 bit pattern nearest to a number (taken as float32); beyond 65519 it is infinity, a NaN stays one. */
export function floatToHalf(value: number): number {
  float[0] = value;
  const bits = floatBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Re-bias the exponent by 127 - 15, then add just under half a unit, or half of one when the last kept bit is odd.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: a unit is 2^-24, which is also float32's unit in [0.5, 1), so one float32 addition does the rounding.
  float[0] = Math.abs(float[0]!) + 0.5;
  return sign | (floatBits[0]! - 0x3f000000);
}

/** The number that a float16 bit pattern stands for; exact. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halfTable: Float32Array | undefined;

/** Float16 bit patterns to float32 values, one for one; exact. */
export function float16ToFloat32(halves: Uint16Array): Float32Array {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToFloat(bits));
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = halfTable[halves[i]!]!;
  return values;
}

/** Float32 values to the nearest float16 bit patterns, one for one. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = floatToHalf(values[i]!);
  return halves;
}

/** Bfloat16 bit patterns (the upper half of a float32) to float32 values; exact. */
export function bfloat16ToFloat32(patterns: Uint16Array): Float32Array {
  const bits = new Uint32Array(patterns.length);
  for (let i = 0; i < patterns.length; i++) bits[i] = patterns[i]! << 16;
  return new Float32Array(bits.buffer);
}
