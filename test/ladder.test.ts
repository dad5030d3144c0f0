import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exercises } from '../bench/exercises/index.ts';
import { type LadderTable, ladderFolder, ladderText } from '../bench/ladder.ts';
import { ladders } from '../bench/ladder-notes.ts';
import { lessonPages } from '../bench/lesson-pages.ts';
import { lessons } from '../bench/lessons.ts';
import { readResults } from '../bench/results.ts';
import { setbacks } from '../bench/setbacks.ts';
import { attentionGradientVariants } from '../src/kernels/attention/index.ts';
import { matmulVariants } from '../src/kernels/matmul/index.ts';
import { rowVariants } from '../src/kernels/rows/row-kernel.ts';

describe.each([
  ['matmul', matmulVariants],
  ['attention', attentionGradientVariants],
  ['row-kernels', rowVariants],
] as const)('the ladder of %s', (lab, variants) => {
  const { steps, detours } = ladders.find((one) => one.lab === lab)!;

  it('says of every variant, once, what is new in it', () => {
    for (const variant of variants)
      expect(
        steps.filter(({ version }) => version.test(variant)),
        variant,
      ).toHaveLength(1);
    for (const { version } of steps)
      expect(
        variants.some((variant) => version.test(variant)),
        String(version),
      ).toBe(true);
  });

  it('says what did not help, each with a figure', () => {
    expect(detours.length).toBeGreaterThan(0);
    for (const { figure } of detours) expect(figure).toMatch(/\d/);
  });

  it('has figures of every variant that applies on the adapter they were measured on, all of them right', async () => {
    const [file] = await readResults(ladderFolder);
    const tables = file!.sections[lab]!.results as LadderTable[];
    for (const { rows, ceiling, unit } of tables) {
      expect(rows.length).toBeGreaterThan(1);
      expect(rows[0]!.version).toBe('naive');
      for (const { version, speed, error } of rows) {
        expect(variants).toContain(version);
        expect(error).toBeLessThan(1e-4);
        // Nothing computes faster than the adapter; a copy's rows may come from a cache, which its ceiling's do not.
        if (unit === 'GFLOP/s') expect(speed).toBeLessThan(1.3 * ceiling);
      }
    }
  });
});

describe('the pages of the labs', async () => {
  const results = await readResults(ladderFolder);
  const read = (path: string) => readFileSync(path, 'utf8');
  const pages = lessonPages({ lessons, ladders, exercises, results, setbacks, read });

  it('are those of what is stored, and there are no others', () => {
    for (const [path, text] of pages) expect(read(`docs/${path}`), path).toBe(text);
    const names = readdirSync('docs/kernels').map((name) => `kernels/${name}`);
    expect(names.filter((name) => !pages.has(name))).toEqual([]);
  });

  it('cover every ladder and every exercise', () => {
    for (const { lab } of ladders)
      expect(
        lessons.some((one) => one.lab?.name === lab),
        lab,
      ).toBe(true);
    for (const { name } of exercises)
      expect(
        lessons.some((one) => one.exercise === name),
        name,
      ).toBe(true);
    const shapes = results.flatMap(({ sections }) =>
      Object.entries(sections).flatMap(([lab, { results }]) =>
        (results as LadderTable[]).map(({ shape }) => ({ lab, shape })),
      ),
    );
    for (const { lab, shape } of shapes)
      expect(
        lessons.filter((one) => one.lab?.name === lab && one.lab.shapes.test(shape)),
        shape,
      ).toHaveLength(1);
  });

  it('tell setbacks by figures that their commits know', () => {
    const { status } = spawnSync('git', ['cat-file', '-e', `${setbacks[0]!.commit}^{commit}`]);
    for (const { figure, commit } of setbacks) {
      expect(figure).toMatch(/\d/);
      // A package or a shallow clone has no history.
      if (status === 0)
        expect(spawnSync('git', ['cat-file', '-e', `${commit}^{commit}`]).status, commit).toBe(0);
    }
  });
});

it('a table says time, speed, share and error of each row', () => {
  const row = { version: 'naive', direction: 'forward', ms: 12.345, speed: 50, error: 2e-7 };
  const text = ladderText({ shape: '8x8x8 nt', unit: 'GFLOP/s', ceiling: 200, rows: [row] });
  expect(text).toMatch(
    /8x8x8 nt {3}ceiling 200\.0 GFLOP\/s\n.*naive +forward +12\.3\d ms +50\.0 GFLOP\/s +25 % +error 2\.0e-7/,
  );
});
