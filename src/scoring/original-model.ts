import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { ClipAgiqa, qualityPrompts, qualityWords } from '../model/agiqa.ts';
import type { Clip, ClipOptions } from '../model/clip.ts';
import { foldTextFeatures, type HeadValues, RegressionHead } from '../model/head.ts';
import { loadClip } from '../model/load-clip.ts';
import type { Position, Slot } from '../model/prefix-tree.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import { type OriginalCheckpoint, readOriginalCheckpoint } from '../model/weights/original-checkpoint.ts';
import { defaultSettings, type Settings } from '../training/settings.ts';

export interface OriginalModelOptions {
  /** Which of the folder's checkpoints; by default the best, else the last. */
  readonly epoch?: number | 'best' | undefined;
  /** Where the quality word stood in training, which the checkpoint does not say. */
  readonly position: Position;
  /** The prompts in place of the quality words', for weights of another vocabulary. */
  readonly prompts?: readonly (readonly Slot[])[] | undefined;
}

/** Whether a path is a results folder of the published trainer. */
export const isOriginalFolder = (path: string): boolean =>
  existsSync(join(path, 'prompt_learner')) || existsSync(join(path, 'regression'));

/** Settings of a model of the published trainer, as far as its folder tells; weights and dataset are the caller's to name. */
export const originalSettings = (): Settings => ({ ...defaultSettings(), weights: '', data: '' });

/**
 * The head of a published trainer's checkpoint with the text features folded in, as scoring needs it. The text tower is
 * loaded for this alone and freed.
 */
export async function originalHead(
  gpu: Gpu,
  folder: string,
  weights: string,
  options: OriginalModelOptions & Pick<ClipOptions, 'activation' | 'weightType'>,
): Promise<HeadValues> {
  const { epoch, position, prompts, activation, weightType } = options;
  const checkpoint = await readOriginalCheckpoint(folder, epoch);
  const clip = await loadClip(gpu, weights, { activation, weightType, vision: false });
  try {
    checkWidths(folder, checkpoint, clip);
    const { ctx, head } = checkpoint;
    const nCtx = ctx.shape.at(-2)!;
    const slots = prompts ?? qualityPrompts(clip.text.config, await loadTokenizer(), nCtx, position);
    const model = allOrNone(
      () =>
        new ClipAgiqa(
          new PromptLearner(clip.text, slots, keep(Tensor.from(gpu, ctx.data, ctx.shape)), {
            classSpecific: ctx.shape.length === 3,
          }),
          new RegressionHead(gpu, head),
        ),
    );
    try {
      const text = scope(() => model.textFeatures());
      return foldTextFeatures(head, await text.read().finally(() => text.dispose()));
    } finally {
      model.dispose();
    }
  } finally {
    clip.dispose();
  }
}

function checkWidths(folder: string, { ctx, head }: OriginalCheckpoint, clip: Clip): void {
  const { width, outputWidth } = clip.text.config;
  const input = (1 + qualityWords.length) * outputWidth;
  const sets = ctx.shape.length === 3 ? ctx.shape[0] : qualityWords.length;
  const found = [ctx.shape.at(-1)!, head['1.weight'].shape[1]!, sets];
  const expected = [width, input, qualityWords.length];
  if (found.join() !== expected.join())
    throw new UserError(
      `${folder}: context vectors of width ${found[0]} and a head of ${found[1]} inputs (${sets} words) do not fit these weights, which need ${expected[0]} and ${expected[1]} (${expected[2]} words)`,
      'Pass with --weights the CLIP model it was trained on.',
    );
}
