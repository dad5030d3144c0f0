import { expect, it } from 'vitest';
import { toFloat, toHalf } from '../src/autograd/cast.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { float16ToFloat32, float32ToFloat16 } from '../src/data/formats/float16.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const allHalves = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
const isNormal = (bits: number) => (bits & 0x7c00) !== 0 && (bits & 0x7c00) !== 0x7c00;

it('turns every half into float32 and back', async () => {
  const gpu = await sharedGpu();
  // WGSL lets an adapter flush subnormal halves, and promises nothing of infinities and NaN.
  const certain = allHalves.filter((bits) => isNormal(bits) || bits === 0 || bits === 0x8000);
  const floats = toFloat(Tensor.from(gpu, certain));
  expect(await floats.read()).toEqual(float16ToFloat32(certain));
  expect(new Uint16Array(await toHalf(floats).readRaw())).toEqual(certain);
});

it.each([1, 3, 17, 197, 257, 5000])('rounds %i numbers to one of the two nearest halves', async (size) => {
  const gpu = await sharedGpu();
  const values = randoms(size, 1, 100);
  const half = toHalf(Tensor.from(gpu, values));
  expect([half.type, half.size]).toEqual(['f16', size]);
  const bits = new Uint16Array(await half.readRaw());
  const nearest = float32ToFloat16(values);
  expect(bits.length).toBe(size);
  for (const [i, expected] of nearest.entries()) expect(Math.abs(bits[i]! - expected)).toBeLessThanOrEqual(1);
  expect(await toFloat(half).read()).toEqual(float16ToFloat32(bits));
});

it('keeps the largest half, makes infinity of what lies beyond, and NaN of NaN', async () => {
  const gpu = await sharedGpu();
  const x = Tensor.from(gpu, [65504, -65504, 65520, -1e9, Number.POSITIVE_INFINITY, Number.NaN, -0]);
  const bits = [...new Uint16Array(await toHalf(x).readRaw())];
  expect(bits).toEqual([0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7c00, 0x7e00, 0x8000]);
});

it('refuses what is not to be cast', async () => {
  const gpu = await sharedGpu();
  expect(() => toHalf(Tensor.from(gpu, Uint32Array.of(1)))).toThrow(/takes an f32 tensor, not u32/);
  expect(() => toFloat(Tensor.zeros(gpu, [1]))).toThrow(/takes an f16 tensor, not f32/);
});
