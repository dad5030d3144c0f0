import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { resizeBicubic } from '../src/data/images/resize.ts';
import { resizePlain } from '../src/data/images/resize-plain.ts';
import { simdResizer } from '../src/data/images/resize-simd.ts';

interface Case {
  size: [number, number];
  box: [number, number, number, number];
  to: [number, number];
  sha256: string;
}
const cases = JSON.parse(
  readFileSync(new URL('./fixtures/resize/expected.json', import.meta.url), 'utf8'),
) as Case[];

function image(width: number, height: number) {
  const data = new Uint8Array(width * height * 3);
  let x = width * 1000 + height; // the generator of the fixture: see its README
  for (let i = 0; i < data.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    data[i] = width % 2 ? x >>> 24 : x >>> 24 < 128 ? 0 : 255;
  }
  return { width, height, data };
}

describe('resizeBicubic', () => {
  it.each(cases)('equals Pillow for $size, box $box, to $to', ({ size, box, to, sha256 }) => {
    const [left, top, width, height] = box;
    const result = resizeBicubic(image(...size), { left, top, width, height }, ...to);
    expect(createHash('sha256').update(result).digest('hex')).toBe(sha256);
  });

  it('does without vectors where a page may not run WebAssembly', async () => {
    vi.resetModules();
    class Forbidden {
      constructor() {
        throw new Error('violates its Content Security Policy');
      }
    }
    vi.stubGlobal('WebAssembly', {
      validate: () => true,
      Memory: Forbidden,
      Module: Forbidden,
    });
    try {
      const { simdResizer: guarded } = await import('../src/data/images/resize-simd.ts');
      expect(guarded()).toBeNull();
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('computes a window as the same part of the whole', () => {
    const source = image(61, 83);
    const box = { left: 3, top: 5, width: 50, height: 70 };
    const whole = resizeBicubic(source, box, 40, 30);
    const part = resizeBicubic(source, box, 40, 30, { left: 7, top: 4, width: 20, height: 11 });
    for (let y = 0; y < 11; y++)
      expect(part.subarray(y * 60, y * 60 + 60)).toEqual(
        whole.subarray(((y + 4) * 40 + 7) * 3, ((y + 4) * 40 + 27) * 3),
      );
  });
});

describe('the resize by vectors', () => {
  // What is needed of each: fewer pixels than a vector, odd numbers of taps, more rows than are copied at once, and a last few of them.
  const sizes: [from: string, to: string, window?: string][] = [
    ['1x1', '1x1'],
    ['1x1', '5x3'],
    ['2x3', '1x1'],
    ['3x2', '7x11'],
    ['17x130', '5x6'],
    ['200x67', '33x21'],
    ['67x200', '124x224'],
    ['500x9', '11x40', '3x7x6x21'],
    ['301x203', '81x79', '80x78x1x1'],
    ['61x401', '1x2'],
    ['2000x3', '3x3'],
    ['640x480', '299x224', '38x0x224x224'],
  ];
  const numbers = (text: string) => text.split('x').map(Number) as [number, number, number, number];

  it.each(sizes)(
    'of %s to %s gives the same bytes as a sample at a time',
    (from: string, to: string, cut: string = `0x0x${to}`) => {
      const [left, top, width, height] = numbers(cut);
      const window = { left, top, width, height };
      const [fromWidth, fromHeight] = numbers(from);
      const [toWidth, toHeight] = numbers(to);
      const source = image(fromWidth + 5, fromHeight + 3);
      const box = { left: 4, top: 2, width: fromWidth, height: fromHeight };
      const expected = resizePlain(source, box, toWidth, toHeight, window);
      expect(expected.length).toBe(width * height * 3);
      for (const got of [
        simdResizer()!.resize(source, box, toWidth, toHeight, window),
        resizeBicubic(source, box, toWidth, toHeight, window),
      ])
        expect(Buffer.compare(got, expected)).toBe(0);
    },
  );

  it('overshoots at edges to black and white, as the plain form does', () => {
    const [width, height] = [40, 30];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i / 30) % 2 < 1 ? 0 : 255));
    const box = { left: 0, top: 0, width, height };
    for (const side of [13, 29, 97]) {
      const window = { left: 0, top: 0, width: side, height: side };
      const expected = resizePlain({ width, height, data }, box, side, side, window);
      const got = simdResizer()!.resize({ width, height, data }, box, side, side, window);
      expect(Buffer.compare(got, expected)).toBe(0);
    }
  });
});
