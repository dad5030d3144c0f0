/** What is spared by computing nothing twice, each with its exactness: the short way against the long one, in turns. */

import { l2Normalize } from '../../src/autograd/ops/normalize.ts';
import { slice } from '../../src/autograd/ops/shape.ts';
import { scope } from '../../src/autograd/scope.ts';
import { valueAndGradients } from '../../src/autograd/tape.ts';
import { Tensor } from '../../src/autograd/tensor.ts';
import { maxError } from '../../src/common/compare.ts';
import { getOrThrow } from '../../src/common/get-or-throw.ts';
import { uniforms } from '../../src/common/random.ts';
import { elementCount } from '../../src/common/shape.ts';
import { loadTokenizer } from '../../src/data/tokenizer/vocabulary.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { qualityPrompts, qualityWords } from '../../src/model/agiqa.ts';
import type { Clip } from '../../src/model/clip.ts';
import { headOf, RegressionHead } from '../../src/model/head.ts';
import { blockParameters, classTokenBlock, transformerBlock } from '../../src/model/layers.ts';
import { PromptLearner } from '../../src/model/prompt-learner.ts';
import type { Learner } from '../../src/training/learner.ts';
import { alternate } from '../alternate.ts';
import { vitB16 } from '../model.ts';

/** One way against another that must give the same. */
export interface Comparison {
  readonly milliseconds: number;
  readonly plainMilliseconds: number;
  readonly speedup: number;
  /** Largest difference as a share of the largest magnitude. */
  readonly error: number;
}

const randoms = (count: number, stream: number, scale = 1) =>
  Float32Array.from(uniforms(count, 1, stream), (draw) => scale * (2 * draw - 1));

/** The last block of the image tower for the class token alone, against all tokens. */
export async function compareLastBlock(gpu: Gpu, clip: Clip, rounds: number): Promise<Comparison> {
  const { config, parameters } = clip.vision;
  const block = blockParameters(parameters, `visual.transformer.resblocks.${config.layers - 1}`);
  const shape = [8, clip.vision.tokens, config.width];
  const x = Tensor.from(gpu, randoms(elementCount(shape), 1), shape);
  const short = () => scope(() => classTokenBlock(x, block, config));
  const full = () => scope(() => slice(transformerBlock(x, block, config, { mask: 'none' }), 1, 0, 1));
  const result = await compare(gpu, short, full, rounds);
  x.dispose();
  return result;
}

/** Both ways to one tensor, timed in turns, and how far the results lie apart. */
async function compare(
  gpu: Gpu,
  ours: () => Tensor,
  plain: () => Tensor,
  rounds: number,
): Promise<Comparison> {
  const [a, b] = [ours(), plain()];
  const error = maxError(await a.read(), await b.read());
  const times = await alternate(
    gpu,
    { ours: () => ours().dispose(), plain: () => plain().dispose() },
    rounds,
  );
  for (const tensor of [a, b]) tensor.dispose();
  return comparison(times.ours, times.plain, error);
}

const comparison = (milliseconds: number, plainMilliseconds: number, error: number): Comparison => ({
  milliseconds,
  plainMilliseconds,
  speedup: plainMilliseconds / milliseconds,
  error,
});

/** The text side alone: features of the six prompts, and the gradient by the context from one of the features. */
export async function comparePrompts(gpu: Gpu, clip: Clip, rounds: number) {
  const { config } = clip.text;
  const slots = qualityPrompts(config, await loadTokenizer(), 16, 'end');
  const ctx = Tensor.from(gpu, randoms(16 * config.width, 2, 0.03), [16, config.width]);
  const count = qualityWords.length * config.outputWidth;
  const dy = Tensor.from(gpu, randoms(count, 3), [qualityWords.length, config.outputWidth]);
  const [packed, padded] = [false, true].map(
    (padded) => new PromptLearner(clip.text, slots, ctx, { classSpecific: false, padded }),
  ) as [PromptLearner, PromptLearner];
  const run = (prompts: PromptLearner) =>
    scope(() => {
      const { value, gradients } = valueAndGradients(() => prompts.features(), [ctx], dy);
      return [value, gradients.get(ctx)!] as const;
    });
  const read = async (prompts: PromptLearner) => {
    const tensors = run(prompts);
    const values = [await tensors[0].read(), await tensors[1].read()] as const;
    for (const tensor of tensors) tensor.dispose();
    return values;
  };
  const [short, full] = [await read(packed), await read(padded)];
  const once = (prompts: PromptLearner) => () => {
    for (const tensor of run(prompts)) tensor.dispose();
  };
  const times = await alternate(gpu, { packed: once(packed), padded: once(padded) }, rounds);
  const result = {
    ...comparison(times.packed, times.padded, maxError(short[0], full[0])),
    rows: packed.tree.slots.length,
    paddedRows: padded.tree.slots.length,
    gradientError: maxError(short[1], full[1]),
  };
  for (const resource of [packed, padded, ctx, dy]) resource.dispose();
  return result;
}

/** Scores of a trained model with the text features folded into the head's first bias, against prompts, text tower and whole head. */
export async function compareHeads(
  gpu: Gpu,
  learner: Learner,
  batch: number,
  rounds: number,
): Promise<Comparison> {
  const constants = await learner.constants();
  const head = new RegressionHead(
    gpu,
    headOf((name) => getOrThrow(constants, `head.${name}`)),
  );
  const width = vitB16.text!.outputWidth;
  const images = Tensor.from(gpu, randoms(batch * width, 4), [batch, width]);
  const folded = () => scope(() => head.forward(l2Normalize(images)));
  const whole = () => learner.predict(images);
  const result = await compare(gpu, folded, whole, rounds);
  for (const tensor of [images, ...head.parameters.values()]) tensor.dispose();
  return result;
}
