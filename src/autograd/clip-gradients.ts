import type { Gpu } from '../kernels/device/gpu.ts';
import { clipScale } from '../kernels/optimizers.ts';
import { reduceAll } from '../kernels/rows/reduce.ts';
import { copyBlock } from '../kernels/shape.ts';
import { allOrNone } from './scope.ts';
import { Tensor } from './tensor.ts';

/**
 * Gradients scaled by one factor, so that the norm over all of them together is at most `maxNorm`, as
 * torch.nn.utils.clip_grad_norm_ defines it (Pascanu et al., arXiv 1211.5063). Nothing is read back, so a captured step may clip.
 *
 * The result is new tensors: two parameters may share the storage of one gradient, which in place would be scaled twice.
 */
export function clipGradients(gradients: ReadonlyMap<Tensor, Tensor>, maxNorm: number): Map<Tensor, Tensor> {
  const [first] = gradients.values();
  if (!first) return new Map();
  return allOrNone(() => clipped(first.gpu, gradients, maxNorm));
}

function clipped(gpu: Gpu, gradients: ReadonlyMap<Tensor, Tensor>, maxNorm: number): Map<Tensor, Tensor> {
  const parts = Tensor.empty(gpu, [gradients.size]);
  const total = Tensor.empty(gpu, [1]);
  const at = { rows: 1, width: 1, xStride: 1, xAt: 0, outStride: 1 };
  for (const [i, gradient] of [...gradients.values()].entries()) {
    reduceAll(gpu, {
      x: gradient.buffer,
      out: total.buffer,
      size: gradient.size,
      operation: 'squares',
    });
    copyBlock(gpu, total.buffer, parts.buffer, { outAt: i, ...at });
  }
  reduceAll(gpu, { x: parts.buffer, out: total.buffer, size: parts.size });
  const scaled = new Map<Tensor, Tensor>();
  for (const [parameter, gradient] of gradients) {
    const out = Tensor.empty(gpu, gradient.shape);
    clipScale(gpu, gradient.buffer, total.buffer, out.buffer, out.size, maxNorm);
    scaled.set(parameter, out);
  }
  parts.dispose();
  total.dispose();
  return scaled;
}
