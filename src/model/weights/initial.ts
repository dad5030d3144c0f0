import { normals, streams } from '../../common/random.ts';
import { elementCount } from '../../common/shape.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import { type ClipConfig, canonicalShapes, type TransformerConfig } from '../config.ts';

/** exp(logit_scale) starts at 1/0.07. */
const initialLogitScale = Math.log(1 / 0.07);

/**
 * The weights a CLIP begins with, by canonical name: normal with the standard deviations that CLIP was initialized with
 * (Radford et al., arXiv 2103.00020, after GPT-2: the projections back into the residual stream are smaller the more
 * blocks add to it), biases zero, norms the identity. The same seed gives the same weights.
 */
export function initialWeights(config: ClipConfig, seed: number): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  let stream: number = streams.weights;
  for (const [name, shape] of canonicalShapes(config)) {
    const count = elementCount(shape);
    const std = initialStd(name, config);
    const data =
      std > 0
        ? new Float32Array(normals(count, seed, stream, std))
        : new Float32Array(count).fill(constant(name));
    weights.set(name, { shape, data });
    stream++;
  }
  return weights;
}

function constant(name: string): number {
  if (name === 'logit_scale') return initialLogitScale;
  return /ln_\w+\.weight$/.test(name) ? 1 : 0;
}

/** Zero for what starts as a constant. */
function initialStd(name: string, { vision, text }: ClipConfig): number {
  const tower: TransformerConfig = name.startsWith('visual.') ? vision : text!;
  const { width, layers } = tower;
  if (name === 'token_embedding.weight') return 0.02;
  if (name === 'positional_embedding') return 0.01;
  if (name === 'visual.conv1.weight') return (3 * vision.patchSize ** 2) ** -0.5;
  if (/visual\.(class_embedding|positional_embedding|proj)$|^text_projection$/.test(name))
    return width ** -0.5;
  if (name.endsWith('in_proj_weight')) return width ** -0.5;
  if (/(out_proj|c_proj)\.weight$/.test(name)) return width ** -0.5 * (2 * layers) ** -0.5;
  if (name.endsWith('c_fc.weight')) return (2 * width) ** -0.5;
  return 0;
}
