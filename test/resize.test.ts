import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resizeBicubic } from '../src/data/images/resize.ts';

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
