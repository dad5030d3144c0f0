import { describe, expect, it } from 'vitest';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { qualityWords } from '../src/model/agiqa.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { type Position, paddedRows, prefixTree, promptSlots } from '../src/model/prefix-tree.ts';
import { PromptLearner } from '../src/model/prompt-learner.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const wordsOf = async (nCtx: number, position: Position) => {
  const tokenizer = await loadTokenizer();
  return qualityWords.map((word) => promptSlots(tokenizer, word, nCtx, position));
};
describe('PromptLearner', () => {
  it.each([
    ['end', false],
    ['middle', true],
    ['front', false],
  ] as const)(
    'packed equals padded, features and gradients: word at the %s, class-specific %s',
    async (position, classSpecific) => {
      const gpu = await sharedGpu();
      const clip = await loadClip(gpu, new URL('./fixtures/tiny-clip.json', import.meta.url).pathname, {
        vision: false,
      });
      const prompts = await wordsOf(4, position);
      const shape = classSpecific ? [6, 4, 64] : [4, 64];
      const ctx = Tensor.from(gpu, randoms(elementCount(shape), 1, 0.02), shape);
      const dy = Tensor.from(gpu, randoms(6 * 32, 2), [6, 32]);
      const run = async (padded: boolean) => {
        const learner = new PromptLearner(clip.text, prompts, ctx, { classSpecific, padded });
        expect(learner.tree.slots.length).toBe(
          padded ? 6 * 77 : prefixTree(prompts, { classSpecific }).slots.length,
        );
        const { value, gradients } = valueAndGradients(() => learner.features(), [ctx], dy);
        const result = [await value.read(), await gradients.get(ctx)!.read()] as const;
        for (const tensor of [value, ...gradients.values()]) tensor.dispose();
        learner.dispose();
        return result;
      };
      const [packed, padded] = [await run(false), await run(true)];
      expect(maxError(packed[0], padded[0])).toBeLessThan(1e-5);
      expect(maxError(packed[1], padded[1])).toBeLessThan(1e-5);
      clip.dispose();
    },
  );

  it('the layout of the oracle is six causal chains', async () => {
    const prompts = await wordsOf(16, 'end');
    const rows = paddedRows(prompts, 77, { classSpecific: false });
    expect(rows.slots).toHaveLength(6 * 77);
    expect(rows.end[77 * 2 + 5]).toBe(77 * 3);
    expect(rows.position[77 * 2 + 5]).toBe(5);
    expect(rows.eot[1]).toBe(77 + 19);
  });
});
