import { writeOutput } from '../common/files.ts';
import type { StorageType } from '../data/formats/float16.ts';
import { byteLength } from '../data/formats/protobuf.ts';
import { cropPlaces, joinedWidth } from '../features/crops.ts';
import { cropsOf, visionFeature, visionFeaturePlaces } from '../features/feature-extractor.ts';
import { toHalf } from '../model/weights/convert.ts';
import { type ClipWeights, transpose } from '../model/weights/weights.ts';
import { checkFeatureWidth, type ScoringConstants, scoredWidth } from '../scoring/scoring-constants.ts';
import type { Settings } from '../training/settings.ts';
import { type ExportInput, inputGraph, joinCropsGraph } from './input-graph.ts';
import { OnnxGraph } from './onnx-graph.ts';
import { scoringGraph } from './scoring-graph.ts';
import { visionGraph, type WeightOf } from './vision-graph.ts';

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
 *   crops   float32 [batch, crops, 3, size, size] or uint8 [batch, crops, size, size, 3], of a model with native crops
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
  const crops = cropsOf(settings);
  const { width: each } = visionFeaturePlaces(vision, feature);
  const width = joinedWidth(each, crops);
  checkFeatureWidth(scoredWidth(scoring), width, 'the model');

  const graph = new OnnxGraph();
  const images = inputGraph(graph, vision, options.input, crops);
  const weightOf = storedWeights(graph, weights, options.dtype);
  const encoded = await visionGraph(graph, weightOf, vision, images, feature);
  const features = joinCropsGraph(graph, encoded, each, crops);
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
      ...(crops > 0 ? cropMetadata(imageSize, crops) : {}),
      ...model.metadata,
    },
  });
  await writeOutput(out, file);
  return byteLength(file);
}

/** How to make the input `crops`: the places as x, y from 0 (left, top) to 1. */
const cropMetadata = (size: number, crops: number): Record<string, string> => ({
  crops: cropPlaces(crops)
    .map((place) => place.join(','))
    .join(' '),
  crops_preprocessing: `for each x,y of crops: side = min(${size}, width, height) pixels of the original image, left = round(x (width - side)), top = round(y (height - side)), halves up; resized to ${size} where side is less; RGB`,
});

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
