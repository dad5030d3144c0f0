import type { Activation, VisionConfig } from '../model/config.ts';
import type { Pool, VisionFeature } from '../model/pooling.ts';
import type { OnnxGraph, OnnxValue } from './onnx-graph.ts';

/** Puts a tensor of the weights into the graph, by its canonical name, and gives its value; transposed where asked. */
export type WeightOf = (name: string, transposed?: boolean) => Promise<OnnxValue>;

/**
 * CLIP's vision transformer as an ONNX graph, written from the same parameters and in the same order as
 * src/model/vit.ts: normalized images [batch, 3, size, size] → features [batch, width].
 */
export async function visionGraph(
  graph: OnnxGraph,
  weight: WeightOf,
  config: VisionConfig,
  images: OnnxValue,
  feature: VisionFeature,
): Promise<OnnxValue> {
  let x = await embedding(graph, weight, config, images);
  const { layers } = config;
  if (feature.kind === 'pooled') {
    const pooled = new Map<number, OnnxValue>();
    // Blocks behind the last that is pooled are needed by the projected feature alone.
    const upTo = feature.projected || feature.length ? layers : Math.max(...feature.blocks);
    for (let block = 1; block <= upTo; block++) {
      x = await transformerBlock(graph, weight, config, x, block - 1);
      if (feature.blocks.includes(block)) pooled.set(block, poolTokens(graph, config, x, feature.pool));
    }
    const parts = feature.blocks.map((block) => pooled.get(block)!);
    if (feature.projected || feature.length) {
      const token = graph.reshape(graph.slice(x, 1, 0, 1), 0, -1);
      const projected = await projection(graph, weight, config, token);
      if (feature.projected) parts.push(projected);
      if (feature.length) parts.push(lengthOf(graph, projected));
    }
    return graph.add('Concat', parts, { axis: 1 });
  }
  for (let block = 0; block < layers - 1; block++)
    x = await transformerBlock(graph, weight, config, x, block);
  const token = graph.reshape(await transformerBlock(graph, weight, config, x, layers - 1, true), 0, -1);
  const projected = await projection(graph, weight, config, token);
  return feature.length
    ? graph.add('Concat', [projected, lengthOf(graph, projected)], { axis: 1 })
    : projected;
}

/** A class token after all blocks → the feature of CLIP's joint space, [batch, E]. */
async function projection(
  graph: OnnxGraph,
  weight: WeightOf,
  config: VisionConfig,
  token: OnnxValue,
): Promise<OnnxValue> {
  const normed = await layerNorm(graph, weight, config, token, 'visual.ln_post');
  return config.outputWidth === null ? normed : graph.add('MatMul', [normed, await weight('visual.proj')]);
}

const lengthOf = (graph: OnnxGraph, x: OnnxValue): OnnxValue =>
  graph.add('ReduceL2', [x], { axes: [-1], keepdims: 1 });

/** Patches, class token and positions: [batch, tokens, width]. */
async function embedding(
  graph: OnnxGraph,
  weight: WeightOf,
  config: VisionConfig,
  images: OnnxValue,
): Promise<OnnxValue> {
  const { width, patchSize, patchBias, preNorm } = config;
  const kernel = [images, await weight('visual.conv1.weight')];
  if (patchBias) kernel.push(await weight('visual.conv1.bias'));
  const patches = graph.add('Conv', kernel, { strides: [patchSize, patchSize] });
  const tokens = graph.add('Transpose', [graph.reshape(patches, 0, width, -1)], { perm: [0, 2, 1] });
  const batch = graph.add('Shape', [images], { start: 0, end: 1 });
  const shape = graph.add('Concat', [batch, graph.integers(1, width)], { axis: 0 });
  const classToken = graph.add('Expand', [await weight('visual.class_embedding'), shape]);
  const all = graph.add('Concat', [classToken, tokens], { axis: 1 });
  const placed = graph.add('Add', [all, await weight('visual.positional_embedding')]);
  return preNorm ? layerNorm(graph, weight, config, placed, 'visual.ln_pre') : placed;
}

/** x [batch, tokens, width] → the same; with `classToken` [batch, 1, width], row 0 alone. */
async function transformerBlock(
  graph: OnnxGraph,
  weight: WeightOf,
  config: VisionConfig,
  x: OnnxValue,
  index: number,
  classToken = false,
): Promise<OnnxValue> {
  const prefix = `visual.transformer.resblocks.${index}`;
  const normed = await layerNorm(graph, weight, config, x, `${prefix}.ln_1`);
  const attended = await attention(graph, weight, config, normed, `${prefix}.attn`, classToken);
  const residual = classToken ? graph.slice(x, 1, 0, 1) : x;
  const y = graph.add('Add', [residual, await linear(graph, weight, attended, `${prefix}.attn.out_proj`)]);
  const hidden = await layerNorm(graph, weight, config, y, `${prefix}.ln_2`);
  const wide = await linear(graph, weight, hidden, `${prefix}.mlp.c_fc`);
  const active = activate(graph, wide, config.activation);
  return graph.add('Add', [y, await linear(graph, weight, active, `${prefix}.mlp.c_proj`)]);
}

async function attention(
  graph: OnnxGraph,
  weight: WeightOf,
  { width, heads }: VisionConfig,
  x: OnnxValue,
  prefix: string,
  classToken: boolean,
): Promise<OnnxValue> {
  const headDim = width / heads;
  const product = graph.add('MatMul', [x, await weight(`${prefix}.in_proj_weight`, true)]);
  const qkv = graph.add('Add', [product, await weight(`${prefix}.in_proj_bias`)]);
  // [batch, tokens, width] of query, key or value → [batch, heads, tokens, headDim], keys with the last two swapped.
  const part = (which: number, perm: readonly number[], rows: OnnxValue = qkv) =>
    graph.add(
      'Transpose',
      [graph.reshape(graph.slice(rows, 2, which * width, (which + 1) * width), 0, 0, heads, headDim)],
      { perm },
    );
  const q = part(0, [0, 2, 1, 3], classToken ? graph.slice(qkv, 1, 0, 1) : qkv);
  const scaled = graph.add('Mul', [q, graph.scalar(headDim ** -0.5)]);
  const scores = graph.add('MatMul', [scaled, part(1, [0, 2, 3, 1])]);
  const mixed = graph.add('MatMul', [graph.add('Softmax', [scores], { axis: -1 }), part(2, [0, 2, 1, 3])]);
  return graph.reshape(graph.add('Transpose', [mixed], { perm: [0, 2, 1, 3] }), 0, 0, width);
}

async function linear(graph: OnnxGraph, weight: WeightOf, x: OnnxValue, prefix: string): Promise<OnnxValue> {
  const product = graph.add('MatMul', [x, await weight(`${prefix}.weight`, true)]);
  return graph.add('Add', [product, await weight(`${prefix}.bias`)]);
}

async function layerNorm(
  graph: OnnxGraph,
  weight: WeightOf,
  { layerNormEps }: VisionConfig,
  x: OnnxValue,
  prefix: string,
): Promise<OnnxValue> {
  return graph.add(
    'LayerNormalization',
    [x, await weight(`${prefix}.weight`), await weight(`${prefix}.bias`)],
    {
      axis: -1,
      epsilon: { float: layerNormEps },
    },
  );
}

/** Operator set 17 has neither: x·σ(1.702x), and x·Φ(x) by the error function. */
function activate(graph: OnnxGraph, x: OnnxValue, activation: Activation): OnnxValue {
  if (activation === 'quick_gelu')
    return graph.add('Mul', [x, graph.add('Sigmoid', [graph.add('Mul', [x, graph.scalar(1.702)])])]);
  const erf = graph.add('Erf', [graph.add('Mul', [x, graph.scalar(Math.SQRT1_2)])]);
  const phi = graph.add('Mul', [graph.add('Add', [erf, graph.scalar(1)]), graph.scalar(0.5)]);
  return graph.add('Mul', [x, phi]);
}

/** Tokens [batch, T, width] → [batch, width], or [batch, 3·width]: as src/model/pooling.ts. */
function poolTokens(
  graph: OnnxGraph,
  { imageSize, patchSize }: VisionConfig,
  tokens: OnnxValue,
  pool: Pool,
): OnnxValue {
  const count = (imageSize / patchSize) ** 2 + 1;
  const classToken = graph.reshape(graph.slice(tokens, 1, 0, 1), 0, -1);
  if (pool === 'cls') return classToken;
  const patches = graph.slice(tokens, 1, 1, count);
  const average = (x: OnnxValue) => graph.add('ReduceMean', [x], { axes: [1], keepdims: 0 });
  const mean = average(patches);
  if (pool === 'mean') return mean;
  const square = (x: OnnxValue) => graph.add('Mul', [x, x]);
  const variance = graph.add('Sub', [average(square(patches)), square(mean)]);
  return graph.add('Concat', [classToken, mean, graph.add('Sqrt', [graph.add('Relu', [variance])])], {
    axis: 1,
  });
}
