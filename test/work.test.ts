import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Launch } from '../src/kernels/device/gpu.ts';
import { paramsOf } from '../src/kernels/device/params.ts';
import { specialize } from '../src/kernels/device/wgsl.ts';
import { type Work, workOf } from '../src/kernels/device/work.ts';

const block = (fields: string) =>
  `struct Params { ${fields} }\n@group(0) @binding(0) var<uniform> params: Params;\n`;

/** The work of a shader with these lines, fields m and n, and a constant TWICE of 2 * HALF_OF_IT. */
function workBy(line: string, params = [3, 5], groups: [number, number, number] = [7, 11, 13]): Work | null {
  const code = `${line}\nconst HALF_OF_IT = 4u;\nconst TWICE = 2 * HALF_OF_IT;\n${block('m: u32, n: f32,')}`;
  return workOf(code, paramsOf(code))?.(params, groups) ?? null;
}
const operations = (expression: string) => workBy(`//@work ${expression} operations, 0 bytes`)?.operations;

describe('the work a header gives', () => {
  it('is computed from fields, constants and workgroup counts', () => {
    expect(workBy('//@work 2 * m * n operations, 4 * TWICE bytes')).toEqual({ operations: 30, bytes: 32 });
    expect(operations('x + 100 * y + 10000 * z')).toBe(131107);
    expect(workBy('// no line')).toBeNull();
  });

  it('may stand on several lines, which add up', () => {
    expect(workBy('//@work m operations, m bytes\n//@work n bytes')).toEqual({ operations: 3, bytes: 8 });
  });

  it('is that of each launch, among more sizes than are kept, and of arrays that change', () => {
    const code = `//@work m + 100 * x operations, n bytes\n${block('m: u32, n: f32,')}`;
    const work = workOf(code, paramsOf(code))!;
    const params = [0, 1];
    for (let i = 0; i < 40; i++) {
      params[0] = i % 12;
      expect(work(params, [1 + (i % 2), 1, 1])).toEqual({
        operations: (i % 12) + 100 * (1 + (i % 2)),
        bytes: 1,
      });
    }
  });

  it.each([
    ['m - n - 1', -3],
    ['m + n * 2', 13],
    ['(m + n) * 2', 16],
    ['48 / m / 2', 8],
    ['1 + (m == 3) * 10 + (m != 3) * 100', 11],
    ['min(m, n, 2) + max(m, (n))', 7],
    ['1.5 * m', 4.5],
  ])('%s', (expression, value) => {
    expect(operations(expression)).toBe(value);
  });

  it.each([
    ['//@work m operations', 'lacks operations or bytes'],
    ['//@work m, n flops', 'say EXPRESSION operations'],
    ['//@work q operations, n bytes', 'q is no field of the uniform block, and no constant'],
    ['//@work m n operations, n bytes', 'n is out of place'],
    ['//@work (m operations, n bytes', 'its end is out of place'],
    ['//@work m * operations, n bytes', 'its end is out of place'],
    ['//@work min m operations, n bytes', 'm is out of place'],
  ])('is refused where it is not clear: %s', (line, message) => {
    expect(() => workBy(line)).toThrow(message);
  });
});

const shaders = readdirSync('shaders').filter((name) => !name.startsWith('lib_'));
const read = (name: string) => readFileSync(`shaders/${name}`, 'utf8');

it.each(shaders)('%s says in its header what it does', (name) => {
  const [header = ''] = read(name).split(/^(?!\/\/)|^(?=\/\/@(?!work))/m);
  expect(
    /^\/\/@work /m.test(header),
    'a line `//@work … operations, … bytes` ends the header: CONTRIBUTING.md',
  ).toBe(true);
  const code = specialize(read(name));
  const work = workOf(code, paramsOf(code));
  const { length } = paramsOf(code)?.fields ?? [];
  const { operations, bytes } = work!(new Array(length).fill(8), [2, 3, 4]);
  expect(operations).toBeGreaterThanOrEqual(0);
  expect(bytes).toBeGreaterThan(0);
});

/** Kernels that read each word of their buffers once: their traffic is the size of what they bind. */
const whole: Record<
  string,
  Pick<Launch, 'params' | 'constants' | 'groups'> & { words: number; flops: number }
> = {
  // z entries of a batch: A, one B for all, bias, residual, out
  matmul_naive: {
    params: [5, 7, 3, 3, 1, 1, 3, 15, 0],
    constants: { BIAS: 1, RESIDUAL: 1 },
    groups: [1, 1, 2],
    words: 2 * 15 + 21 + 7 + 2 * 35 + 2 * 35,
    flops: 2 * 2 * 5 * 7 * 3,
  },
  // 2 batches of 3 heads of 8 elements: q, k, v and out, causal: 1 + 2 + 3 + 4 pairs
  attention_flash: {
    params: [4, 4, 3, 0, 0, 0, 0, 0, 0, 1],
    constants: { D4: 2, MASK: 1, LSE: 1 },
    groups: [1, 3, 2],
    words: 2 * 3 * (4 * 4 * 8 + 4),
    flops: 2 * 3 * 10 * (4 * 8 + 4),
  },
  layernorm_backward: {
    params: [6, 10],
    constants: { RESIDUAL: 1 },
    groups: [1],
    words: 4 * 60 + 10 + 12,
    flops: 12 * 60,
  },
  binary: { params: [12, 12, 4], groups: [1], words: 12 + 4 + 12, flops: 12 },
  copy_block: { params: [12, 4, 0, 0, 8, 0], groups: [1], words: 4 + 12, flops: 0 },
};

it.each(Object.entries(whole))(
  '%s counts what it touches',
  (name, { params, constants, groups, words, flops }) => {
    const code = specialize(read(`${name}.wgsl`), constants);
    const [x, y = 1, z = 1] = groups;
    expect(workOf(code, paramsOf(code))?.(params!, [x, y, z])).toEqual({
      operations: flops,
      bytes: 4 * words,
    });
  },
);
