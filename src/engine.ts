/** The engine itself, which knows nothing of what it runs in: tensors, ops, autograd, optimizers, kernels. */

export { toFloat, toHalf } from './autograd/cast.ts';
export { clipGradients } from './autograd/clip-gradients.ts';
export { type GradcheckOptions, gradcheck } from './autograd/gradcheck.ts';
export { packWeight, rowsOf } from './autograd/linear-weight.ts';
export { named } from './autograd/names.ts';
export type {
  AttributesOf,
  BackwardContext,
  DeferredKind,
  Each,
  ForwardContext,
  Op,
  Operand,
  OpTypes,
  SavedOf,
} from './autograd/op.ts';
export { add, divide, multiply, scale, subtract } from './autograd/ops/arithmetic.ts';
export { type AttentionOptions, attention, attentionFrom } from './autograd/ops/attention.ts';
export { dropout } from './autograd/ops/dropout.ts';
export { gatherRows } from './autograd/ops/embedding.ts';
export { type JoinDropout, joinRepeated } from './autograd/ops/join-repeated.ts';
export { layerNorm } from './autograd/ops/layernorm.ts';
export { type LinearOptions, linear } from './autograd/ops/linear.ts';
export { crossEntropy, mseLoss } from './autograd/ops/losses.ts';
export { type MatmulAttributes, matmul } from './autograd/ops/matmul.ts';
export { l2Normalize } from './autograd/ops/normalize.ts';
export { maxAll, mean, sum, sumOfSquares } from './autograd/ops/reduce.ts';
export { rmsNorm } from './autograd/ops/rms-norm.ts';
export { fidelityLoss, gradedResponseLoss, normInNormLoss, plccLoss } from './autograd/ops/row-losses.ts';
export { concat, expand, permute, reshape, slice, transpose } from './autograd/ops/shape.ts';
export { logSoftmax, softmax } from './autograd/ops/softmax.ts';
export { exp, gelu, log, quickGelu, relu, sigmoid, sqrt, tanh } from './autograd/ops/unary.ts';
export { AdamW, type AdamWOptions, Sgd, type SgdOptions } from './autograd/optimizers.ts';
export { randomNormal } from './autograd/random.ts';
export { allOrNone, keep, type Scoped, scope } from './autograd/scope.ts';
export { apply, type ValueAndGradients, valueAndGradients } from './autograd/tape.ts';
export { Tensor, type TensorType, type TensorValues } from './autograd/tensor.ts';
export { trace } from './autograd/trace.ts';
export { Stopped, UserError } from './common/errors.ts';
export type { StorageType } from './data/formats/float16.ts';
export type { DeviceOptions } from './kernels/device/adapter.ts';
export type { AdapterDescription } from './kernels/device/adapter-description.ts';
export type { OptionalFeature } from './kernels/device/adapter-profile.ts';
export type { AdapterStore, StoredKind } from './kernels/device/adapter-store.ts';
export type { BufferPool, GpuBuffer, GpuStorage, PoolStatistics } from './kernels/device/buffer-pool.ts';
export { DeviceLostError, type Submitted } from './kernels/device/errors.ts';
export { foldGroups, type Gpu, type Launch } from './kernels/device/gpu.ts';
export { OutOfMemoryError } from './kernels/device/memory.ts';
export type { Kernel, Pipeline, PipelineCache } from './kernels/device/pipelines.ts';
export type { DispatchTime, KernelTime } from './kernels/device/profiler.ts';
export type { Recording } from './kernels/device/recording.ts';
export { type RecoveryOptions, recovering } from './kernels/device/recovery.ts';
export type { Tracer } from './kernels/device/tracer.ts';
export { HangError } from './kernels/device/watchdog.ts';
export type { Constants } from './kernels/device/wgsl.ts';
export type { Work, WorkOf } from './kernels/device/work.ts';
export { elementGroups } from './kernels/elementwise.ts';
export type { PackedWeight } from './kernels/matmul/packed-weight.ts';
export type { ActivationName } from './kernels/unary.ts';
