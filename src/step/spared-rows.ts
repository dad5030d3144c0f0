import { scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { PrefixTree, Slot } from '../model/prefix-tree.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import type { TextTransformer } from '../model/text.ts';
import type { Learner } from '../training/learner.ts';
import { ClipAgiqaLearner } from '../training/learners/clip-agiqa.ts';
import { CoopLearner } from '../training/learners/coop.ts';
import type { Spared } from './ghosts.ts';
import { StepTracer } from './step-tracer.ts';

/** The rows that the prefix tree spares, by recording the prompts apart and padded; nothing where no prompt is learned. */
export function sparedRows(gpu: Gpu, learner: Learner, text: TextTransformer): Spared[] {
  const prompts =
    learner instanceof ClipAgiqaLearner && learner.parameters().has('ctx')
      ? learner.model.prompts
      : learner instanceof CoopLearner
        ? learner.prompts
        : null;
  if (!prompts) return [];
  const { tree, ctx } = prompts;
  const classSpecific = ctx.shape.length === 3;
  const tracer = new StepTracer();
  const padded = new PromptLearner(text, promptsOf(tree), ctx, { classSpecific, padded: true });
  try {
    scope(() =>
      tracer.record(gpu, () =>
        valueAndGradients(
          () => padded.features(),
          [ctx],
          (value) => Tensor.zeros(gpu, value.shape),
        ),
      ),
    );
  } finally {
    padded.dispose();
  }
  const [rows, all] = [tree.slots.length, padded.tree.slots.length];
  return [
    {
      what: `${all - rows} of ${all} prompt rows`,
      why: `${tree.eot.length} prompts of ${text.config.contextLength} rows each begin alike and end early. In causal attention a row depends on the rows before it alone, so as a prefix tree they are ${rows} rows.`,
      how: 'The padded form was recorded, forward and backward, beside the packed one.',
      part: 'text',
      phase: 'forward',
      dispatches: tracer.dispatches,
      times: 1,
      replaces: ({ part }) => /^(?:text\.(?!normalize)|prompts)/.test(part),
    },
  ];
}

/** Each prompt's slots, from its [EOT] up to the root. */
function promptsOf({ slots, parent, eot }: PrefixTree): Slot[][] {
  return Array.from(eot, (end) => {
    const path: Slot[] = [];
    for (let row = end; row >= 0; row = parent[row]!) path.unshift(slots[row]!.slot);
    return path;
  });
}
