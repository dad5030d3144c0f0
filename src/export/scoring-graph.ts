import { divisor } from '../common/standardize.ts';
import type { FeatureStatistics } from '../model/feature-scaling.ts';
import type { HeadKind } from '../model/head.ts';
import type { ScoringConstants } from '../scoring/scoring-constants.ts';
import type { OnnxGraph, OnnxValue } from './onnx-graph.ts';

/** Features [batch, E], not normalized → scores [batch], as src/scoring/scoring-model.ts computes them. */
export function scoringGraph(graph: OnnxGraph, features: OnnxValue, scoring: ScoringConstants): OnnxValue {
  const column =
    scoring.kind === 'head' ? headGraph(graph, features, scoring) : classGraph(graph, features, scoring);
  return graph.reshape(column, -1);
}

function headGraph(
  graph: OnnxGraph,
  features: OnnxValue,
  { head, statistics, activation, similarities }: Extract<ScoringConstants, { kind: 'head' }>,
): OnnxValue {
  const scaled = statistics ? standardize(graph, features, statistics) : l2Normalize(graph, features);
  const input = similarities
    ? graph.add('Concat', [scaled, ...similarityGraphs(graph, features, similarities)], { axis: 1 })
    : scaled;
  const layer = (x: OnnxValue, index: 1 | 4) => {
    const { shape, data } = head[`${index}.weight`];
    const weight = graph.constant(data, shape, `head.${index}.weight`);
    const bias = graph.constant(
      head[`${index}.bias`].data,
      head[`${index}.bias`].shape,
      `head.${index}.bias`,
    );
    return graph.add('Gemm', [x, weight, bias], { transB: 1 });
  };
  const hidden = activated(graph, layer(input, 1), activation, head['1.bias'].data.length);
  const [members = 1, width = 0] = head['4.weight'].shape;
  if (members === 1) return layer(hidden, 4);
  const weight = graph.constant(head['4.weight'].data, [members * width], 'head.4.weight');
  const products = graph.reshape(graph.add('Mul', [hidden, weight]), -1, members, width);
  const bias = graph.constant(head['4.bias'].data, [members], 'head.4.bias');
  const sums = graph.add('ReduceSum', [products, graph.integers(-1)], { keepdims: 0 });
  return graph.add('ReduceMean', [graph.add('Add', [sums, bias])], { axes: [-1], keepdims: 1 });
}

function activated(graph: OnnxGraph, x: OnnxValue, kind: HeadKind, width: number): OnnxValue {
  if (kind === 'relu') return graph.add('Relu', [x]);
  if (kind === 'sigmoid') return graph.add('Sigmoid', [x]);
  const gate = graph.add('Sigmoid', [graph.slice(x, 1, width / 2, width)]);
  return graph.add('Mul', [graph.slice(x, 1, 0, width / 2), gate]);
}

/** As src/model/similarities.ts. */
function similarityGraphs(
  graph: OnnxGraph,
  features: OnnxValue,
  { places, logitScale, text }: NonNullable<Extract<ScoringConstants, { kind: 'head' }>['similarities']>,
): OnnxValue[] {
  const texts = graph.constant(text.data, text.shape, 'similarities.text');
  return places.map((at) => {
    const part = graph.slice(features, 1, at, at + text.shape[1]!);
    const cosines = graph.add('Gemm', [l2Normalize(graph, part), texts], { transB: 1 });
    const logits = graph.add('Mul', [cosines, graph.scalar(logitScale)]);
    return graph.add('Sub', [logits, graph.add('ReduceMean', [logits], { axes: [-1], keepdims: 1 })]);
  });
}

/** The expected score under the classes' probabilities, softmax of exp(logit_scale) · cosine (arXiv 2103.00020). */
function classGraph(
  graph: OnnxGraph,
  features: OnnxValue,
  { text, scores, logitScale }: Extract<ScoringConstants, { kind: 'classes' }>,
): OnnxValue {
  const [classes = 0] = text.shape;
  const cosines = graph.add(
    'Gemm',
    [l2Normalize(graph, features), graph.constant(text.data, text.shape, 'classes.text')],
    {
      transB: 1,
    },
  );
  const logits = graph.add('Mul', [cosines, graph.scalar(logitScale)]);
  const probabilities = graph.add('Softmax', [logits], { axis: -1 });
  return graph.add('MatMul', [probabilities, graph.constant(scores, [classes, 1], 'classes.scores')]);
}

function l2Normalize(graph: OnnxGraph, x: OnnxValue): OnnxValue {
  return graph.add('Div', [x, graph.add('ReduceL2', [x], { axes: [-1], keepdims: 1 })]);
}

function standardize(graph: OnnxGraph, x: OnnxValue, { mean, std }: FeatureStatistics): OnnxValue {
  const centered = graph.add('Sub', [x, graph.constant(mean, [mean.length], 'features.mean')]);
  const scale = std.map(divisor);
  return graph.add('Div', [centered, graph.constant(scale, [scale.length], 'features.std')]);
}
