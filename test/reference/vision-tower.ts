/** CLIP's vision tower by its definition, in float64, with its attention probabilities in the open. */
import type { VisionConfig } from '../../src/model/config.ts';

type Matrix = readonly Float64Array[];
type Weights = (name: string) => ArrayLike<number>;

const rows = (count: number, width: number, value: (r: number, c: number) => number): Matrix =>
  Array.from({ length: count }, (_, r) => Float64Array.from({ length: width }, (_, c) => value(r, c)));

/** x · weightᵀ + bias, weight [out, in]. */
function linear(x: Matrix, weight: ArrayLike<number>, bias?: ArrayLike<number>): Matrix {
  const width = x[0]!.length;
  return rows(x.length, weight.length / width, (r, c) => {
    let sum = bias?.[c] ?? 0;
    for (let i = 0; i < width; i++) sum += x[r]![i]! * weight[c * width + i]!;
    return sum;
  });
}

function layerNorm(x: Matrix, weight: ArrayLike<number>, bias: ArrayLike<number>, eps: number): Matrix {
  return x.map((row) => {
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + eps)) * weight[i]! + bias[i]!);
  });
}

const add = (a: Matrix, b: Matrix) => rows(a.length, a[0]!.length, (r, c) => a[r]![c]! + b[r]![c]!);
const quickGelu = (x: number) => x / (1 + Math.exp(-1.702 * x));

/** Where one attention logit is shifted, to see what depends on it. */
export interface Shift {
  readonly block: number;
  readonly head: number;
  readonly query: number;
  readonly key: number;
  readonly by: number;
}

export interface Pass {
  /** The tokens after each block, [tokens, width]. */
  readonly outputs: readonly Matrix[];
  /** Of each block and head, [tokens, tokens]. */
  readonly probabilities: readonly (readonly Matrix[])[];
}

/** @param patches [patches, 3 · patch²], normalized */
export function visionPass(config: VisionConfig, weights: Weights, patches: Matrix, shift?: Shift): Pass {
  const { width, heads, layers, layerNormEps: eps } = config;
  const norm = (x: Matrix, name: string) =>
    layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`), eps);
  const embedded = linear(patches, weights('visual.conv1.weight'));
  const positions = weights('visual.positional_embedding');
  const tokens = [Float64Array.from(weights('visual.class_embedding')), ...embedded];
  let x = norm(
    rows(tokens.length, width, (r, c) => tokens[r]![c]! + positions[r * width + c]!),
    'visual.ln_pre',
  );
  const outputs: Matrix[] = [];
  const probabilities: Matrix[][] = [];
  const size = width / heads;
  for (let block = 0; block < layers; block++) {
    const at = `visual.transformer.resblocks.${block}`;
    const qkv = linear(
      norm(x, `${at}.ln_1`),
      weights(`${at}.attn.in_proj_weight`),
      weights(`${at}.attn.in_proj_bias`),
    );
    const ps = Array.from({ length: heads }, (_, h) =>
      qkv.map((row, query) => {
        const logits = qkv.map((other) => {
          let dot = 0;
          for (let d = 0; d < size; d++) dot += row[h * size + d]! * other[width + h * size + d]!;
          return dot / Math.sqrt(size);
        });
        if (shift?.block === block && shift.head === h && shift.query === query)
          logits[shift.key]! += shift.by;
        const powers = logits.map(Math.exp);
        const total = powers.reduce((sum, v) => sum + v, 0);
        return Float64Array.from(powers, (v) => v / total);
      }),
    );
    probabilities.push(ps);
    const attended = rows(qkv.length, width, (r, c) => {
      const p = ps[Math.floor(c / size)]![r]!;
      return qkv.reduce((sum, row, j) => sum + p[j]! * row[2 * width + c]!, 0);
    });
    const projected = linear(
      attended,
      weights(`${at}.attn.out_proj.weight`),
      weights(`${at}.attn.out_proj.bias`),
    );
    const middle = add(x, projected);
    const hidden = linear(
      norm(middle, `${at}.ln_2`),
      weights(`${at}.mlp.c_fc.weight`),
      weights(`${at}.mlp.c_fc.bias`),
    ).map((row) => row.map(quickGelu));
    x = add(middle, linear(hidden, weights(`${at}.mlp.c_proj.weight`), weights(`${at}.mlp.c_proj.bias`)));
    outputs.push(x);
  }
  return { outputs, probabilities };
}

/** ln_post of the class token and the projection [width, out]. */
export function projectedFeature(config: VisionConfig, weights: Weights, last: Matrix): Float64Array {
  const [normed] = layerNorm(
    last.slice(0, 1),
    weights('visual.ln_post.weight'),
    weights('visual.ln_post.bias'),
    config.layerNormEps,
  );
  const projection = weights('visual.proj');
  const out = projection.length / config.width;
  return Float64Array.from({ length: out }, (_, c) =>
    normed!.reduce((sum, v, i) => sum + v * projection[i * out + c]!, 0),
  );
}

/** Class token, mean and standard deviation of the patch tokens, as far as `pool` takes them. */
export function pooledFeature(tokens: Matrix, pool: 'cls' | 'mean' | 'stats'): Float64Array {
  const [classToken, ...patches] = tokens;
  const mean = classToken!.map((_, c) => patches.reduce((sum, row) => sum + row[c]!, 0) / patches.length);
  const std = mean.map((m, c) =>
    Math.sqrt(patches.reduce((sum, row) => sum + (row[c]! - m) ** 2, 0) / patches.length),
  );
  return pool === 'cls'
    ? classToken!
    : pool === 'mean'
      ? mean
      : Float64Array.from([...classToken!, ...mean, ...std]);
}
