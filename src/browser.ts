/** The engine in a page or a worker: `import { … } from 'clip-agiqa-webgpu/browser'`. */

export { type ByteSource, blobSource, type SliceableBlob } from './data/formats/byte-source.ts';
export {
  readSafetensors,
  type SafetensorsOptions,
  safetensorsBytes,
  type TensorData,
} from './data/formats/safetensors.ts';
export type { DType, TensorFile, TensorInfo } from './data/formats/tensor.ts';
export * from './engine.ts';
export { type BrowserGpuOptions, openGpu, type Texts, textStore } from './kernels/browser/open-gpu.ts';
export { Clip, type ClipOptions } from './model/clip.ts';
export type { Siblings } from './model/weights/config-hints.ts';
export {
  type ClipWeights,
  mapWeights,
  type OpenWeightsOptions,
  type WeightValues,
} from './model/weights/weights.ts';
