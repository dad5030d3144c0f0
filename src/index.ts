/** The library: `import { … } from 'clip-agiqa-webgpu'`. */

export { toFloat, toHalf } from './autograd/cast.ts';
export { clipGradients } from './autograd/clip-gradients.ts';
export { gradcheck } from './autograd/gradcheck.ts';
export { exp, gelu, log, quickGelu, relu, sqrt, tanh } from './autograd/ops/activations.ts';
export { add, divide, multiply, scale, subtract } from './autograd/ops/arithmetic.ts';
export { attention, attentionFrom } from './autograd/ops/attention.ts';
export { advanceSeed, dropout } from './autograd/ops/dropout.ts';
export { layerNorm } from './autograd/ops/layernorm.ts';
export { linear } from './autograd/ops/linear.ts';
export { crossEntropy, mseLoss } from './autograd/ops/losses.ts';
export { matmul } from './autograd/ops/matmul.ts';
export { l2Normalize } from './autograd/ops/normalize.ts';
export { maxAll, mean, sum, sumOfSquares } from './autograd/ops/reduce.ts';
export { concat, expand, gatherRows, permute, reshape, slice, transpose } from './autograd/ops/rows.ts';
export { logSoftmax, softmax } from './autograd/ops/softmax.ts';
export { AdamW, Sgd } from './autograd/optimizers.ts';
export { randomNormal } from './autograd/random.ts';
export { keep, scope } from './autograd/scope.ts';
export {
  apply,
  type BackwardContext,
  type ForwardContext,
  type Op,
  valueAndGradients,
} from './autograd/tape.ts';
export { Tensor } from './autograd/tensor.ts';
export { UserError } from './common/errors.ts';
export { Tokenizer } from './data/tokenizer.ts';
export { foldGroups, type Gpu, openGpu } from './kernels/gpu.ts';
export type { Kernel } from './kernels/pipelines.ts';
export { f32 } from './kernels/wgsl.ts';
export { Clip } from './model/clip.ts';
export { openClipWeights } from './model/weights.ts';
export { Scorer } from './scoring/scorer.ts';
