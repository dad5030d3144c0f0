import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Figure, Results } from '../src/parity/figure.ts';
import { checkForward } from '../src/parity/forward.ts';
import { checkMetrics, checkSchedule, checkSplits, checkTokenizer } from '../src/parity/tables.ts';
import { checkTraining } from '../src/parity/training.ts';
import { checkFullSize } from '../src/parity/vitb16.ts';
import { sharedGpu } from './gpu.ts';

const folder = fileURLToPath(new URL('./fixtures/reference', import.meta.url));

/** Runs a check and returns its figures; parts that the fixture leaves out on purpose are named by `absent`. */
async function figuresOf(results: Results, absent: RegExp = /^$/): Promise<Figure[]> {
  const figures: Figure[] = [];
  for await (const result of results) {
    if ('ok' in result) figures.push(result);
    else expect(result.what).toMatch(absent);
  }
  return figures;
}

const failures = (figures: Figure[]) => figures.filter(({ ok }) => !ok);

describe('figures from PyTorch, SciPy and scikit-learn', () => {
  it('every stage of both towers, in order', async () => {
    const figures = await figuresOf(
      checkForward(await sharedGpu(), `${folder}/tiny`),
      /^weights from (?!openai\.safetensors)/,
    );
    expect(failures(figures)).toEqual([]);
    const stages = [0, 1, 2]
      .map((block) => `visual.block${block}`)
      .concat([0, 1, 2].map((block) => `text.block${block}`));
    expect(figures.slice(0, 6).map(({ what }) => what)).toEqual(stages.map((stage) => `forward ${stage}`));
    expect(figures).toHaveLength(11);
  });

  it('gradients and 40 SGD steps of CLIP-AGIQA, every position, shared and class-specific', async () => {
    const figures = await figuresOf(checkTraining(await sharedGpu(), `${folder}/tiny`));
    expect(failures(figures)).toEqual([]);
    expect(figures).toHaveLength(4 * 14);
  });

  it('a full-size ViT-B/16: features, prediction, loss, gradients', async () => {
    const figures = await figuresOf(checkFullSize(await sharedGpu(), `${folder}/vitb16`));
    expect(failures(figures)).toEqual([]);
    expect(figures).toHaveLength(12);
  });

  it('tokens, splits, learning rates, metrics', async () => {
    for (const [check, count] of [
      [checkTokenizer, 1],
      [checkSplits, 6],
      [checkSchedule, 1],
      [checkMetrics, 30],
    ] as const) {
      const figures = await figuresOf(check(folder));
      expect(failures(figures)).toEqual([]);
      expect(figures).toHaveLength(count);
    }
  });

  it('names what is not there', async () => {
    const results = [];
    for await (const result of checkTokenizer('nowhere')) results.push(result);
    expect(results).toEqual([{ what: 'tokenizer', missing: true }]);
  });
});
