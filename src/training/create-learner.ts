import { gatherRows } from '../autograd/ops/rows.ts';
import { keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { normal } from '../common/random.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { ClipAgiqa, qualityPrompts, qualityWords } from '../model/agiqa.ts';
import type { Clip } from '../model/clip.ts';
import { initialHead, RegressionHead } from '../model/head.ts';
import { PromptLearner } from '../model/prompt.ts';
import type { TextTransformer } from '../model/text.ts';
import type { Learner } from './learner.ts';
import { ClipAgiqaLearner } from './learners/clip-agiqa.ts';
import { ImageOnlyLearner } from './learners/image-only.ts';
import type { Settings } from './settings.ts';

/** Stream of the context's initial values; the deviation is CoOp's. */
const contextStream = 21;
const contextDeviation = 0.02;

/** The model of `settings.trainer`, freshly initialised from the seed. */
export function createLearner(
  clip: Clip,
  tokenizer: Tokenizer | null,
  featureWidth: number,
  settings: Settings,
): Learner {
  const { trainer, seed } = settings;
  const hidden = settings.hidden || featureWidth;
  switch (trainer) {
    case 'clip-agiqa':
    case 'linear': {
      if (!tokenizer) throw new Error(`${trainer} needs a tokenizer`);
      const prompts = createPrompts(clip.text, tokenizer, settings);
      const width = featureWidth * (1 + qualityWords.length);
      const head = new RegressionHead(clip.gpu, initialHead(width, hidden, seed));
      return new ClipAgiqaLearner(new ClipAgiqa(prompts, head), { promptsLearn: trainer === 'clip-agiqa' });
    }
    case 'image-only':
      return new ImageOnlyLearner(new RegressionHead(clip.gpu, initialHead(featureWidth, hidden, seed)));
    default:
      throw new UserError(
        `there is no trainer ${trainer}`,
        'Trainers are clip-agiqa, linear and image-only.',
      );
  }
}

/** Whether a trainer reads the prompts, and so needs a text tower. */
export const usesText = (trainer: string): boolean => trainer !== 'image-only';

/** The quality words' prompts, their context random (deviation 0.02) or the embeddings of `ctxInit`'s words. */
export function createPrompts(
  text: TextTransformer,
  tokenizer: Tokenizer,
  settings: Settings,
): PromptLearner {
  const { ctxInit, position, classSpecific, seed } = settings;
  const words = ctxInit === '' ? [] : tokenizer.encode(ctxInit.replaceAll('_', ' '));
  const nCtx = words.length || settings.nCtx;
  const slots = qualityPrompts(text.config, tokenizer, nCtx, position);
  const { width } = text.config;
  const sets = classSpecific ? qualityWords.length : 1;
  const values = new Float32Array(sets * nCtx * width);
  const shape = classSpecific ? [sets, nCtx, width] : [nCtx, width];
  let ctx: Tensor;
  if (words.length > 0) {
    const repeated = Uint32Array.from({ length: sets * nCtx }, (_, i) => words[i % nCtx]!);
    ctx = scope(() => {
      const table = text.parameters.get('token_embedding.weight');
      return gatherRows(table, Tensor.from(table.gpu, repeated)).view(shape);
    });
  } else {
    for (let i = 0; i < values.length; i++) values[i] = contextDeviation * normal(seed, contextStream, i);
    ctx = Tensor.from(text.parameters.get('positional_embedding').gpu, values, shape);
  }
  return new PromptLearner(text, slots, keep(ctx), { classSpecific });
}
