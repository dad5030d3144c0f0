import { describe, expect, it } from 'vitest';
import { checkAnswer, groupsOf, timeAnswer } from '../bench/exercises/check.ts';
import { exercises } from '../bench/exercises/index.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { workspace } from './reference/workspace.ts';

const named = (name: string) => exercises.find((one) => one.name === name)!;

/** The start of an exercise with a change that must be found in it. */
function changed(name: string, from: string, to: string): string {
  const { start } = named(name);
  expect(start).toContain(from);
  return start.replaceAll(from, to);
}

describe.each(exercises)('the exercise $name', (exercise) => {
  it('begins right and slow, or with a gap', async () => {
    const { wrong } = await checkAnswer(await sharedGpu(), exercise, exercise.start);
    if (exercise.right) expect(wrong).toBeNull();
    else expect(wrong).toMatch(/^at 1: element 0 is NaN, or was not written/);
  });

  it('is held against what the engine computes, too', async () => {
    const gpu = await sharedGpu();
    for (const { inputs, params, expected, shape } of exercise.cases()) {
      const { upload, empty, download, release } = workspace(gpu);
      const out = empty(expected.length);
      exercise.engine(gpu, inputs.map(upload), out, params);
      expect(maxError(await download(out, expected.length), expected), shape).toBeLessThan(
        exercise.tolerance,
      );
      release();
    }
  });
});

describe('an answer', () => {
  const check = async (name: string, wgsl: string) => checkAnswer(await sharedGpu(), named(name), wgsl);

  it('is right where it is', async () => {
    const line = changed('scale', '// Your line.', 'y[i] = params.factor * x[i];');
    expect(await check('scale', line)).toMatchObject({ wrong: null });
    // A tree of sums in shared memory, as the first task of `sum` asks for.
    const tree = changed(
      'sum',
      '@compute @workgroup_size(1)\nfn main() {',
      'var<workgroup> part: array<f32, 64>;\n@compute @workgroup_size(64)\nfn main(@builtin(local_invocation_index) lane: u32) {',
    )
      .replace('i = 0u; i < params.size; i++', 'i = lane; i < params.size; i += 64u')
      .replace(
        'out[0] = sum;',
        'part[lane] = sum;\n  for (var half = 32u; half > 0u; half /= 2u) {\n    workgroupBarrier();\n    if (lane < half) { part[lane] += part[lane + half]; }\n  }\n  if (lane == 0u) { out[0] = part[0]; }',
      );
    const { wrong, error } = await check('sum', tree);
    expect(wrong).toBeNull();
    expect(error).toBeLessThan((await check('sum', named('sum').start)).error);
  });

  it('is wrong where the exercise says that it will be', async () => {
    const overflow = changed('softmax', ' - largest', '');
    expect((await check('softmax', overflow)).wrong).toMatch(/^at \d+x\d+: element 0 is NaN/);
    const cancels = changed(
      'layernorm',
      '(x[start + i] - mean) * (x[start + i] - mean)',
      'x[start + i] * x[start + i]',
    ).replace('squares / width', 'squares / width - mean * mean');
    expect((await check('layernorm', cancels)).wrong).toMatch(/^at \d+x\d+: element \d+ is/);
    const transposed = changed('matmul', 'b[k * params.n + column]', 'b[column * params.k + k]');
    expect((await check('matmul', transposed)).wrong).toMatch(/^at 3x7x5: element/);
    expect((await check('softmax', changed('softmax', 'rows / 8', 'rows / 16'))).wrong).toContain(
      'was not written',
    );
  });

  it('that is no WGSL gets the compiler’s words, and the device lives on', async () => {
    await expect(check('scale', changed('scale', '// Your line.', 'y[i] = z;'))).rejects.toThrow(
      /unresolved value 'z'/,
    );
    await expect(check('scale', named('scale').start.replace('//@groups', '//'))).rejects.toThrow(
      'no line //@groups',
    );
    await expect(check('scale', changed('scale', 'size / 64', 'height / 64'))).rejects.toThrow(
      'height is no field',
    );
    expect((await check('softmax', named('softmax').start)).wrong).toBeNull();
  });
});

it('workgroups are counted in the fields of the uniform block', () => {
  const { start } = named('matmul');
  expect(groupsOf(start)([197, 192, 7])).toEqual([24, 25]);
});

it('times an answer beside its start and the engine', async () => {
  const line = changed('scale', '// Your line.', 'y[i] = params.factor * x[i];');
  const timed = { ...named('scale'), timed: () => named('scale').cases()[2]! };
  const { shape, mine, start, engine } = await timeAnswer(await sharedGpu(), timed, line, 1);
  expect(shape).toBe('1000');
  for (const ms of [mine, start, engine]) expect(ms).toBeGreaterThan(0);
});
