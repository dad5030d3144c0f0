import type { Gpu } from '../kernels/device/gpu.ts';
import { fill } from '../kernels/elementwise.ts';
import { canReadTextures, copyToTexture } from '../kernels/matrix-texture.ts';
import { probeArithmetic, probeLanes, probeSubgroups, probeTexture } from '../kernels/probes.ts';
import { subgroupLanes } from '../kernels/rows/row-kernel.ts';
import { type Check, difference, poison, someNumbers, withBuffers } from './check.ts';

/** That the device computes at all, and gives back what it computed. */
const readBack: Check = {
  name: 'read-back',
  masks: [],
  applies: () => true,
  run: (gpu) =>
    withBuffers(gpu, async (make) => {
      const [count, value] = [1000, 7.25];
      const out = make(poison(count));
      fill(gpu, out, count, value);
      return difference(
        new Float32Array(await gpu.read(out, 4 * count)),
        new Float32Array(count).fill(value),
      );
    }),
};

/** Four words of each of these, by the arithmetic of the adapter. */
function arithmeticOf(gpu: Gpu, words: Uint32Array): Promise<Uint32Array> {
  return withBuffers(gpu, async (make) => {
    const padded = new Uint32Array(probeLanes);
    padded.set(words);
    const out = make(4 * probeLanes);
    probeArithmetic(gpu, make(padded), out);
    return new Uint32Array(await gpu.read(out, 16 * words.length));
  });
}

const floatOf = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

/** Of a score that a mask hides nothing must be left, and of others no more than a rounding may be missing. */
const exponential: Check = {
  name: 'exp2',
  masks: [],
  applies: () => true,
  async run(gpu) {
    const values = Float32Array.of(-1e30, -1.4e30, -200, -20.5, -1, -0.25, 0, 1, 10.75);
    const words = await arithmeticOf(gpu, new Uint32Array(values.buffer));
    for (const [i, value] of values.entries()) {
      const [got, expected] = [floatOf(words[4 * i]!), 2 ** value];
      // Below the smallest normal number an adapter may give 0.
      if (!(Math.abs(got - expected) <= 1e-5 * expected + 2 ** -126))
        return `exp2(${Number(value.toPrecision(7))}) is ${got} and not ${Number(expected.toPrecision(7))}`;
    }
    return undefined;
  },
};

/** Words of two halves each, and what these are: exactly, or 0 in place of what is below the smallest normal half. */
const halfWords: readonly (readonly [bits: number, low: number, high: number])[] = [
  [0xc0003c00, 1, -2],
  [0x04007bff, 65504, 2 ** -14],
  [0x3555b555, -0.333251953125, 0.333251953125],
  [0x80000001, 2 ** -24, 0],
];

const halves: Check = {
  name: 'halves',
  masks: ['halves'],
  applies: () => true,
  async run(gpu) {
    const words = await arithmeticOf(
      gpu,
      Uint32Array.from(halfWords, ([bits]) => bits),
    );
    for (const [i, [bits, ...expected]] of halfWords.entries())
      for (const [j, value] of expected.entries()) {
        const got = floatOf(words[4 * i + 1 + j]!);
        const flushed = got === 0 && Math.abs(value) < 2 ** -14;
        if (got !== value && !flushed)
          return `half ${j} of the word ${bits.toString(16)} is ${got} and not ${value}`;
      }
    return undefined;
  },
};

/** Floats and the halves nearest to them, of two the even one. */
const roundings: readonly (readonly [value: number, bits: number])[] = [
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
  [-1 - 2 ** -11 - 2 ** -20, 0xbc01],
  [0.1, 0x2e66],
];

/** WGSL leaves open how a float is rounded to a half; only toHalf() has the adapter do it. */
const rounding: Check = {
  name: 'rounding to halves',
  masks: ['half-rounding'],
  applies: () => true,
  async run(gpu) {
    const values = Float32Array.from(roundings, ([value]) => value);
    const words = await arithmeticOf(gpu, new Uint32Array(values.buffer));
    for (const [i, [value, bits]] of roundings.entries())
      if (words[4 * i + 3] !== bits)
        return `${value} becomes ${words[4 * i + 3]!.toString(16)} and not ${bits.toString(16)}, which toHalf() does not correct`;
    return undefined;
  },
};

/** Lanes of a workgroup as they say they stand in its subgroups, and what they exchanged. */
async function subgroupFault(gpu: Gpu, lanes: number | undefined): Promise<string | undefined> {
  const words = await withBuffers(gpu, async (make) => {
    const out = make(8 * probeLanes);
    probeSubgroups(gpu, lanes, out);
    return new Uint32Array(await gpu.read(out, 32 * probeLanes));
  });
  const { subgroupMin, subgroupMax } = gpu.adapter;
  const placeOf = new Map<string, number>();
  const members = new Map<number, number[]>();
  for (let place = 0; place < probeLanes; place++) {
    const [subgroup, size, lane] = words.subarray(8 * place) as unknown as [number, number, number];
    if (size < subgroupMin || size > Math.min(subgroupMax, 128) || (lanes && size !== lanes))
      return `a subgroup has ${size} lanes and not ${lanes ?? `${subgroupMin} to ${subgroupMax}`}`;
    const name = `${subgroup} ${lane}`;
    if (lane >= size || placeOf.has(name))
      return `two lanes are number ${lane} of subgroup ${subgroup}, of ${size} lanes`;
    placeOf.set(name, place);
    members.set(subgroup, [...(members.get(subgroup) ?? []), place]);
  }
  for (let place = 0; place < probeLanes; place++) {
    const [subgroup, size, lane, by1, by2, third, sum, most] = words.subarray(
      8 * place,
      8 * place + 8,
    ) as unknown as number[] & { length: 8 };
    const own = members.get(subgroup!)!;
    const expected: [string, number | undefined, number | undefined][] = [
      ['a shuffle by 1', by1, placeOf.get(`${subgroup} ${lane! ^ 1}`)],
      ['a shuffle by 2', by2, placeOf.get(`${subgroup} ${lane! ^ 2}`)],
      ['a broadcast of lane 3', third, size! > 3 ? placeOf.get(`${subgroup} 3`) : third],
      ['a sum', sum, own.reduce((total, one) => total + one, 0)],
      ['a maximum', most, Math.max(...own)],
    ];
    // Lanes beyond the workgroup's have nothing to give.
    for (const [what, got, value] of expected)
      if (value !== undefined && got !== value)
        return `${what} gives lane ${lane} of a subgroup of ${size} ${got} and not ${value}`;
  }
  return undefined;
}

const subgroups: Check = {
  name: 'subgroups',
  masks: ['subgroups'],
  applies: (gpu) => gpu.has('subgroups'),
  run: (gpu) => subgroupFault(gpu, undefined),
};

const subgroupSize: Check = {
  name: 'subgroups of a size',
  masks: ['subgroup-size-control'],
  applies: (gpu) => gpu.has('subgroup-size-control') && subgroupLanes(gpu) > 0,
  run: (gpu) => subgroupFault(gpu, subgroupLanes(gpu)),
};

/** Rows that the driver copies to a texture, and rows that a shader writes there. */
const textures: Check = {
  name: 'texture reads',
  masks: ['texture-reads'],
  applies: (gpu) => canReadTextures(gpu, { rows: 9, length: 64 }),
  async run(gpu) {
    for (const length of [64, 20]) {
      const rows = 9;
      const values = someNumbers(rows * length, length);
      const wrong = await withBuffers(gpu, async (make) => {
        const out = make(poison(values.length));
        const texture = copyToTexture(gpu, make(values), { rows, length });
        try {
          probeTexture(gpu, texture, length / 4, rows, out);
          return difference(new Float32Array(await gpu.read(out, values.byteLength)), values);
        } finally {
          gpu.pool.release(texture);
        }
      });
      if (wrong) return wrong;
    }
    return undefined;
  },
};

/** In the order in which one relies on the other. */
export const primitives: readonly Check[] = [
  readBack,
  exponential,
  halves,
  rounding,
  subgroups,
  subgroupSize,
  textures,
];
