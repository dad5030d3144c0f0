import { UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import type { StorageType } from '../data/formats/float16.ts';
import { byteLength } from '../data/formats/protobuf.ts';
import { cropsOf, visionFeature, visionFeaturePlaces } from '../features/feature-extractor.ts';
import type { VisionConfig } from '../model/config.ts';
import { toHalf } from '../model/weights/convert.ts';
import { type ClipWeights, transpose } from '../model/weights/weights.ts';
import { checkFeatureWidth, type ScoringConstants, scoredWidth } from '../scoring/scoring-constants.ts';
import type { Settings } from '../training/settings.ts';
import { OnnxGraph, type OnnxValue } from './onnx-graph.ts';
import { scoringGraph } from './scoring-graph.ts';
import { visionGraph, type WeightOf } from './vision-graph.ts';

/** What an exported model takes: float32 images normalized by the metadata's mean and std, or the RGB bytes of images. */
export type ExportInput = 'normalized' | 'uint8';

/** A trained model, as far as scoring needs it. */
export interface ExportedModel {
  readonly settings: Settings;
  readonly weights: ClipWeights;
  readonly scoring: ScoringConstants;
  /** A model card in plain text, and facts for programs. */
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: string;
}

export interface ExportOptions {
  readonly input: ExportInput;
  /** How the weights are stored; the arithmetic is in float32 either way. */
  readonly dtype: StorageType;
}

/**
 * Writes a scoring model as one ONNX graph: image tower, pooling and folded head, with the batch as a free dimension.
 *
 *   images  float32 [batch, 3, size, size], normalized, or uint8 [batch, size, size, 3]
 *   score   float32 [batch], in the unit of the MOS the model was trained on
 *   feature float32 [batch, width], what the head takes, not normalized
 *
 * @returns the bytes written
 * @throws UserError if the model's parts do not fit each other, or exceed ONNX's 2 GiB
 */
export async function exportOnnx(model: ExportedModel, out: string, options: ExportOptions): Promise<number> {
  const { weights, settings, scoring } = model;
  const { vision } = weights.config;
  const feature = visionFeature(vision, settings);
  const { width } = visionFeaturePlaces(vision, feature);
  if (cropsOf(settings) > 0)
    throw new UserError(
      `this model scores each image by ${settings.crops + 1} crops of it, and an ONNX graph takes one`,
      'Train one with --crops 0 to export it, or score with this package.',
    );
  checkFeatureWidth(scoredWidth(scoring), width, 'the model');

  const graph = new OnnxGraph();
  const images = imageInput(graph, vision, options.input);
  const features = await visionGraph(
    graph,
    storedWeights(graph, weights, options.dtype),
    vision,
    images,
    feature,
  );
  graph.output(scoringGraph(graph, features, scoring), 'score', ['batch'], 'quality, in MOS units');
  graph.output(features, 'feature', ['batch', width], 'what the head takes, not normalized');

  const { mean, std, imageSize } = vision;
  const file = graph.model({
    graphName: 'clip-agiqa',
    producerVersion: model.version,
    description: model.description,
    metadata: {
      input: options.input,
      image_size: String(imageSize),
      mean: mean.join(' '),
      std: std.join(' '),
      preprocessing: `resize the shorter side to ${imageSize} (bicubic, antialiased, as Pillow), center crop, RGB`,
      ...model.metadata,
    },
  });
  await writeOutput(out, file);
  return byteLength(file);
}

function imageInput(graph: OnnxGraph, { imageSize, mean, std }: VisionConfig, input: ExportInput): OnnxValue {
  if (input === 'normalized')
    return graph.input(
      'images',
      'float32',
      ['batch', 3, imageSize, imageSize],
      'RGB, normalized by mean and std',
    );
  const bytes = graph.input('images', 'uint8', ['batch', imageSize, imageSize, 3], 'RGB, row by row');
  const planes = graph.add('Transpose', [graph.add('Cast', [bytes], { to: 1 })], { perm: [0, 3, 1, 2] });
  const perChannel = (values: readonly number[]) => graph.constant(Float32Array.from(values), [1, 3, 1, 1]);
  const unit = graph.add('Div', [planes, graph.scalar(255)]);
  return graph.add('Div', [graph.add('Sub', [unit, perChannel(mean)]), perChannel(std)]);
}

/** The weights as constants, transposed here where the graph multiplies from the left; halves are cast back where they are read. */
function storedWeights(graph: OnnxGraph, weights: ClipWeights, dtype: StorageType): WeightOf {
  return async (name, transposed = false) => {
    const shape = weights.shape(name);
    const given = await weights.read(name);
    const [rows = 1, columns = 1] = shape;
    const values = transposed ? transpose(given, columns, rows) : given;
    const dims = transposed ? [columns, rows] : shape;
    if (dtype === 'float32') return graph.constant(values, dims, name);
    return graph.add('Cast', [graph.constant(toHalf(name, values), dims, name)], { to: 1 });
  };
}
