import { clipGradients } from '../autograd/clip-gradients.ts';
import { add } from '../autograd/ops/arithmetic.ts';
import { concat, slice } from '../autograd/ops/shape.ts';
import type { AdamW } from '../autograd/optimizers.ts';
import { scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { PretrainingModel } from './model.ts';
import { type LossObserver, type LossWeights, pretrainingLoss, type Targets } from './objective.ts';

/** The inputs of one step: chunks of images and captions that go through the towers together, and the whole batch's targets. */
export interface StepInputs {
  /** Pixel bytes of each chunk, four a u32, [chunk, size · size · 3 / 4]. */
  readonly pixels: readonly Tensor[];
  /** Token ids of each chunk of captions, u32 [chunk · length]; the last also holds the prompts of the quality words. */
  readonly ids: readonly Tensor[];
  /** Row of [EOT] of each text in its chunk's flattened ids, u32. */
  readonly eot: readonly Tensor[];
  readonly targets: Targets;
}

/**
 * The gradients of every parameter. A batch of one chunk goes straight through; of several, the embeddings
 * of all chunks are computed first, without a tape, then the loss's gradient by the embeddings, and then each chunk goes
 * through its tower once more with that gradient (gradient caching, Gao et al., arXiv 2101.06983). Both give the same
 * gradients: the contrastive loss sees the whole batch either way.
 */
export function pretrainingGradients(
  model: PretrainingModel,
  inputs: StepInputs,
  weights: LossWeights,
  observe?: LossObserver,
): Map<Tensor, Tensor> {
  const loss = (images: Tensor, texts: Tensor) =>
    pretrainingLoss(images, texts, model.objective, inputs.targets, weights, observe);
  return scope(() =>
    inputs.pixels.length === 1 ? direct(model, inputs, loss) : cached(model, inputs, loss),
  );
}

type EmbeddingLoss = (images: Tensor, texts: Tensor) => Tensor;

function direct(
  model: PretrainingModel,
  { pixels, ids, eot }: StepInputs,
  loss: EmbeddingLoss,
): Map<Tensor, Tensor> {
  return valueAndGradients(
    () => loss(model.images(pixels[0]!), model.texts(ids[0]!, eot[0]!)),
    model.parameters(),
  ).gradients;
}

function cached(
  model: PretrainingModel,
  { pixels, ids, eot }: StepInputs,
  loss: EmbeddingLoss,
): Map<Tensor, Tensor> {
  const image = (i: number) => scope(() => model.images(pixels[i]!));
  const text = (i: number) => scope(() => model.texts(ids[i]!, eot[i]!));
  const images = concat(
    pixels.map((_, i) => image(i)),
    0,
  );
  const texts = concat(
    ids.map((_, i) => text(i)),
    0,
  );
  const objective = model.objectiveParameters();
  const outer = valueAndGradients(() => loss(images, texts), [images, texts, ...objective]).gradients;
  const gradients = new Map(objective.flatMap((p) => (outer.has(p) ? [[p, outer.get(p)!] as const] : [])));
  for (const [tower, parameters, all] of [
    [image, model.visionParameters(), outer.get(images)!],
    [text, model.textParameters(), outer.get(texts)!],
  ] as const) {
    let from = 0;
    for (const i of pixels.keys()) {
      const part = valueAndGradients(
        () => tower(i),
        parameters,
        (value) => slice(all, 0, from, from + value.dim(0)),
      );
      from += part.value.dim(0);
      for (const [parameter, gradient] of part.gradients) accumulate(gradients, parameter, gradient);
    }
  }
  return gradients;
}

function accumulate(gradients: Map<Tensor, Tensor>, parameter: Tensor, gradient: Tensor): void {
  const sofar = gradients.get(parameter);
  gradients.set(parameter, sofar ? add(sofar, gradient) : gradient);
  if (!sofar) return;
  sofar.dispose();
  gradient.dispose();
}

/** One optimizer step along the gradients, clipped to a norm of `clipNorm` over all of them. */
export function pretrainingStep(
  model: PretrainingModel,
  inputs: StepInputs,
  weights: LossWeights,
  optimizers: readonly AdamW[],
  clipNorm: number,
  observe?: LossObserver,
): void {
  scope(() => {
    const clipped = clipGradients(pretrainingGradients(model, inputs, weights, observe), clipNorm);
    for (const optimizer of optimizers) optimizer.step(clipped);
  });
}
