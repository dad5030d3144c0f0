/** The library: `import { … } from 'clip-agiqa-webgpu'`. */

export { toFloat, toHalf } from './autograd/cast.ts';
export { clipGradients } from './autograd/clip-gradients.ts';
export { type GradcheckOptions, gradcheck } from './autograd/gradcheck.ts';
export { packWeight, rowsOf } from './autograd/linear-weight.ts';
export { named } from './autograd/names.ts';
export type {
  AttributesOf,
  BackwardContext,
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
export { exp, gelu, log, quickGelu, relu, sqrt, tanh } from './autograd/ops/unary.ts';
export { AdamW, type AdamWOptions, Sgd, type SgdOptions } from './autograd/optimizers.ts';
export { randomNormal } from './autograd/random.ts';
export { allOrNone, keep, type Scoped, scope } from './autograd/scope.ts';
export { apply, type ValueAndGradients, valueAndGradients } from './autograd/tape.ts';
export { Tensor, type TensorType, type TensorValues } from './autograd/tensor.ts';
export { trace } from './autograd/trace.ts';
export { Stopped, UserError } from './common/errors.ts';
export type { Bar, Reporter } from './common/reporter.ts';
export { type Dataset, type DatasetOptions, openDataset, type Sample } from './data/datasets/index.ts';
export { datasetNames } from './data/datasets/names.ts';
export type { Drawing } from './data/datasets/scenes/make.ts';
export type { Split } from './data/datasets/splits.ts';
export type { StorageType } from './data/formats/float16.ts';
export { type SafetensorsOptions, type TensorData, writeSafetensors } from './data/formats/safetensors.ts';
export type { DType, TensorFile, TensorInfo } from './data/formats/tensor.ts';
export { openTensorFile } from './data/formats/tensor-file.ts';
export type { BlobLike, FileUrl, ImageInput, ImageSource, RawImage } from './data/images/input.ts';
export { preprocess } from './data/images/preprocess.ts';
export { toNormalizedCHW } from './data/images/transforms.ts';
export { bootstrapIntervals, type Statistic } from './data/metrics/bootstrap.ts';
export { krcc, mae, plcc, rmse, srcc } from './data/metrics/correlation.ts';
export { type Evaluation, evaluate, type LogisticMetrics, type Metrics } from './data/metrics/evaluation.ts';
export { type PairedDifference, type PairedMetric, pairedDifferences } from './data/metrics/paired.ts';
export { Tokenizer } from './data/tokenizer/tokenizer.ts';
export { ClipEncoder, type ClipEncoderOptions, type EncodeOptions } from './features/clip-encoder.ts';
export { cosine } from './features/cosine.ts';
export type { EncodedInput, ImageInputs } from './features/encode-inputs.ts';
export type { AdapterDescription } from './kernels/device/adapter-description.ts';
export type { OptionalFeature } from './kernels/device/adapter-profile.ts';
export type { BufferPool, GpuBuffer, GpuStorage, PoolStatistics } from './kernels/device/buffer-pool.ts';
export { DeviceLostError } from './kernels/device/errors.ts';
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
export type { AdapterOptions } from './kernels/node/open-gpu.ts';
export type { ActivationName } from './kernels/unary.ts';
export type { Reading } from './model/class-constants.ts';
export { Clip, type ClipOptions } from './model/clip.ts';
export type { Activation, ClipConfig, TextConfig, TransformerConfig, VisionConfig } from './model/config.ts';
export { type ExplainedScore, type Explanation, explain } from './model/explain.ts';
export type { Visibility } from './model/layers.ts';
export type { Pool, VisionFeature } from './model/pooling.ts';
export type { Position, Slot } from './model/prefix-tree.ts';
export type { TextTransformer } from './model/text.ts';
export type { StageObserver, VisionTransformer } from './model/vit.ts';
export type { Naming } from './model/weights/naming.ts';
export type { Parameters, WeightType } from './model/weights/parameters.ts';
export {
  type ClipWeights,
  type OpenWeightsOptions,
  openClipWeights,
  type WeightValues,
} from './model/weights/weights.ts';
export type { AntonymPair } from './scoring/antonyms.ts';
export { type ClassifiedImage, Classifier } from './scoring/classifier.ts';
export { type ClassEvaluation, evaluateClasses } from './scoring/evaluate-classes.ts';
export { type EvaluateOptions, evaluateModel, type ModelEvaluation } from './scoring/evaluate-model.ts';
export type { ScorerOptions } from './scoring/open-model.ts';
export type { PixelScorer } from './scoring/pixel-scorer.ts';
export { promptColumn, type ScoredImage, type ScoreOptions, Scorer } from './scoring/scorer.ts';
export type { SelfCheckChoice } from './self-check/index.ts';
export { type OpenOptions, openGpu } from './self-check/open.ts';
export type { EpochRecord } from './training/loop.ts';
export type { RunSummary } from './training/results.ts';
export type { Plan } from './training/run-kind.ts';
export { datasetOptions, defaultSettings, type Settings } from './training/settings.ts';
export { type TrainedModel, type TrainOptions, train } from './training/train.ts';
