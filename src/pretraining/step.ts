import { clipGradients } from '../autograd/clip-gradients.ts';
import { add } from '../autograd/ops/arithmetic.ts';
import { concat, slice } from '../autograd/ops/shape.ts';
import type { AdamW } from '../autograd/optimizers.ts';
import { scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import type { PretrainingModel } from './model.ts';
import { type LossObserver, type LossWeights, pretrainingLoss, type Targets } from './objective.ts';

/** Images and captions that go through the towers together. */
export interface Chunk {
  /** Pixel bytes, four a u32, [images, size · size · 3 / 4]. */
  readonly pixels: Tensor;
  /** Token ids of the captions, u32 [captions · length]; the last chunk's also hold the prompts of the quality words. */
  readonly ids: Tensor;
  /** Row of each text's [EOT] in the flattened ids, u32. */
  readonly eot: Tensor;
}

/** The inputs of one step: its batch in chunks, and what the whole batch learns against. */
export interface StepInputs {
  readonly chunks: readonly Chunk[];
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
  const [first, ...more] = inputs.chunks;
  return scope(() =>
    first && more.length === 0 ? direct(model, first, loss) : cached(model, inputs.chunks, loss),
  );
}

type EmbeddingLoss = (images: Tensor, texts: Tensor) => Tensor;

function direct(model: PretrainingModel, chunk: Chunk, loss: EmbeddingLoss): Map<Tensor, Tensor> {
  return valueAndGradients(
    () => loss(model.images(chunk.pixels), model.texts(chunk.ids, chunk.eot)),
    model.parameters(),
  ).gradients;
}

function cached(model: PretrainingModel, chunks: readonly Chunk[], loss: EmbeddingLoss): Map<Tensor, Tensor> {
  const image = ({ pixels }: Chunk) => scope(() => model.images(pixels));
  const text = ({ ids, eot }: Chunk) => scope(() => model.texts(ids, eot));
  const images = concat(chunks.map(image), 0);
  const texts = concat(chunks.map(text), 0);
  const objective = model.objectiveParameters();
  const outer = valueAndGradients(() => loss(images, texts), [images, texts, ...objective]).gradients;
  const gradients = new Map<Tensor, Tensor>();
  for (const parameter of objective) {
    const gradient = outer.get(parameter);
    if (gradient) gradients.set(parameter, gradient);
  }
  for (const [tower, parameters, all] of [
    [image, model.visionParameters(), getOrThrow(outer, images)],
    [text, model.textParameters(), getOrThrow(outer, texts)],
  ] as const) {
    let from = 0;
    for (const chunk of chunks) {
      const part = valueAndGradients(
        () => tower(chunk),
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
