import { describe, expect, it } from 'vitest';
import {
  type Counter,
  type Key,
  normal,
  normals,
  permutation,
  philox,
  randomWord,
  streams,
  uniform,
  uniforms,
} from '../src/common/random.ts';

describe('philox', () => {
  // Random123's published known answers for philox4x32 with 10 rounds (tests/kat_vectors).
  const known: [Counter, Key, number[]][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  it.each(known)('gives the published answer for counter %j', (counter, key, answer) => {
    expect(philox(counter, key)).toEqual(answer);
  });

  it('agrees with 64-bit integer arithmetic on many counters', () => {
    const mask = 0xffffffffn;
    for (let n = 0; n < 200; n++) {
      const counter: Counter = [
        Math.imul(n, 0x85ebca6b) >>> 0,
        n,
        Math.imul(n, 0xc2b2ae35) >>> 0,
        0x80000000 + n,
      ];
      const key: Key = [Math.imul(n, 0x27d4eb2f) >>> 0, ~n >>> 0];
      let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
      let [k, l] = key.map(BigInt) as [bigint, bigint];
      for (let round = 0; round < 10; round++) {
        const p = 0xd2511f53n * a;
        const q = 0xcd9e8d57n * c;
        [a, b, c, d] = [(q >> 32n) ^ b ^ k, q & mask, (p >> 32n) ^ d ^ l, p & mask];
        k = (k + 0x9e3779b9n) & mask;
        l = (l + 0xbb67ae85n) & mask;
      }
      expect(philox(counter, key)).toEqual([a, b, c, d].map(Number));
    }
  });
});

describe('streams', () => {
  it('share a number only where the table says so', () => {
    const entries = Object.entries(streams);
    const shared = entries.flatMap(([name, number], i) =>
      entries.slice(i + 1).flatMap(([other, same]) => (same === number ? [[name, other]] : [])),
    );
    expect(shared).toEqual([
      ['fewShot', 'noise'],
      ['weights', 'bootstrap'],
    ]);
  });

  it('count four words to a block', () => {
    const block = philox([1, 0, 7, 0], [42, 0]);
    expect([4, 5, 6, 7].map((i) => randomWord(42, 7, i))).toEqual(block);
  });

  it('use the high half of a large seed', () => {
    expect(randomWord(2 ** 32 + 5, 0, 0)).toBe(philox([0, 0, 0, 0], [5, 1])[0]);
  });

  it.each([0, 1, 4, 1001])('give %i draws at once as one by one', (count) => {
    for (const [seed, stream] of [
      [1, 11],
      [2 ** 32 + 5, 0xffffffff],
    ] as const)
      expect([...uniforms(count, seed, stream)]).toEqual(
        Array.from({ length: count }, (_, i) => uniform(seed, stream, i)),
      );
  });

  it.each([0, 1, 5])('give %i normal draws at once as one by one, of a standard deviation', (count) => {
    expect([...normals(count, 3, 8, 0.02)]).toEqual(
      Array.from({ length: count }, (_, i) => normal(3, 8, i) * 0.02),
    );
  });

  it('are uniform and normal in their first moments', () => {
    const n = 20000;
    let mean = 0;
    let square = 0;
    let gaussMean = 0;
    let gaussSquare = 0;
    let gaussFourth = 0;
    for (let i = 0; i < n; i++) {
      const u = uniform(1, 2, i);
      expect(u).toBeGreaterThanOrEqual(0);
      expect(u).toBeLessThan(1);
      mean += u / n;
      square += (u * u) / n;
      const g = normal(1, 3, i);
      gaussMean += g / n;
      gaussSquare += (g * g) / n;
      gaussFourth += g ** 4 / n;
    }
    // Five standard errors each.
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(square - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n));
    expect(Math.abs(gaussMean)).toBeLessThan(5 * Math.sqrt(1 / n));
    expect(Math.abs(gaussSquare - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(gaussFourth - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  });
});

describe('permutation', () => {
  it('holds every number once, repeats with its seed and differs with seed and stream', () => {
    const a = permutation(1000, 1, 0);
    expect([...a].sort((x, y) => x - y)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(permutation(1000, 1, 0)).toEqual(a);
    expect(permutation(1000, 2, 0)).not.toEqual(a);
    expect(permutation(1000, 1, 1)).not.toEqual(a);
    expect(permutation(0, 1, 0).length).toBe(0);
    expect([...permutation(1, 1, 0)]).toEqual([0]);
  });

  it('gives each of the six orders of three equally often', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = permutation(3, seed, 9).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
