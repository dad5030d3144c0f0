import type { VisionConfig } from '../model/config.ts';
import type { OnnxDim, OnnxGraph, OnnxValue } from './onnx-graph.ts';

/** What an exported model takes: float32 images normalized by the metadata's mean and std, or the RGB bytes of images. */
export type ExportInput = 'normalized' | 'uint8';

/**
 * The graph's inputs, as what the tower takes: normalized images [batch · (1 + crops), 3, size, size], each image before its native crops.
 *
 *   images  float32 [batch, 3, size, size], normalized, or uint8 [batch, size, size, 3]
 *   crops   [batch, crops, …], the same of each image's native crops, of a model that reads them
 */
export function inputGraph(
  graph: OnnxGraph,
  { imageSize, mean, std }: VisionConfig,
  input: ExportInput,
  crops: number,
): OnnxValue {
  const type = input === 'uint8' ? 'uint8' : 'float32';
  const one = imageDims(imageSize, input);
  const about = input === 'uint8' ? 'RGB, row by row' : 'RGB, normalized by mean and std';
  let all = graph.input('images', type, ['batch', ...one], about);
  if (crops > 0) {
    const images = graph.reshape(all, -1, 1, ...one);
    const natives = graph.input(
      'crops',
      type,
      ['batch', crops, ...one],
      `${about}; squares of the original image`,
    );
    all = graph.reshape(graph.add('Concat', [images, natives], { axis: 1 }), -1, ...one);
  }
  if (input === 'normalized') return all;
  const planes = graph.add('Transpose', [graph.add('Cast', [all], { to: 1 })], { perm: [0, 3, 1, 2] });
  const perChannel = (values: readonly number[]) => graph.constant(Float32Array.from(values), [1, 3, 1, 1]);
  const unit = graph.add('Div', [planes, graph.scalar(255)]);
  return graph.add('Div', [graph.add('Sub', [unit, perChannel(mean)]), perChannel(std)]);
}

/** The inputs in a line, for people. */
export function inputText(imageSize: number, input: ExportInput, crops: number): string {
  const type = input === 'uint8' ? 'uint8' : 'float32';
  const dims = (...first: OnnxDim[]) => `${type} [${[...first, ...imageDims(imageSize, input)].join(', ')}]`;
  return `images ${dims('batch')}${crops > 0 ? `, crops ${dims('batch', crops)}` : ''}`;
}

const imageDims = (size: number, input: ExportInput): [number, number, number] =>
  input === 'uint8' ? [size, size, 3] : [3, size, size];

/** Features [batch · (1 + crops), width] → [batch, 2 · width]: that of the image, and the mean of its crops', as src/features/crops.ts joins them. */
export function joinCropsGraph(
  graph: OnnxGraph,
  features: OnnxValue,
  width: number,
  crops: number,
): OnnxValue {
  if (crops === 0) return features;
  const rows = graph.reshape(features, -1, crops + 1, width);
  const image = graph.reshape(graph.slice(rows, 1, 0, 1), -1, width);
  const mean = graph.add('ReduceMean', [graph.slice(rows, 1, 1, crops + 1)], { axes: [1], keepdims: 0 });
  return graph.add('Concat', [image, mean], { axis: 1 });
}
