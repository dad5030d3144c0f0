import { expect, it } from 'vitest';
import { add, multiply, scale } from '../src/autograd/ops/arithmetic.ts';
import { attention } from '../src/autograd/ops/attention.ts';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { sum } from '../src/autograd/ops/reduce.ts';
import { concat } from '../src/autograd/ops/shape.ts';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { featureExtractor } from '../src/features/feature-extractor.ts';
import { type BlockEffects, disposeEffects, valueAndEffects } from '../src/model/block-effects.ts';
import { ClassScores } from '../src/model/class-scores.ts';
import { explain } from '../src/model/explain.ts';
import { FeatureScaling } from '../src/model/feature-scaling.ts';
import { foldTextFeatures, RegressionHead } from '../src/model/head.ts';
import { type Pool, poolTokens, poolWidth, type VisionFeature } from '../src/model/pooling.ts';
import { VisionTransformer } from '../src/model/vit.ts';
import { Parameters } from '../src/model/weights/parameters.ts';
import { sumOf } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { pooledFeature, projectedFeature, type Shift, visionPass } from './reference/vision-tower.ts';
import { tinyConfig, tinyTensors } from './tiny-clip.ts';

// Small, since the definition runs once for each number of each attention.
const config = { ...tinyConfig.vision, imageSize: 8, width: 16, mlpWidth: 24, heads: 2 };
const tensors = tinyTensors({ vision: config, text: null });
// Larger weights than a trained model's: what attention does is then seen in every map.
const weights = (name: string) =>
  tensors.get(name)!.data.map((v) => (name.endsWith('in_proj_weight') ? 4 * v : v));
const tokens = (config.imageSize / config.patchSize) ** 2 + 1;
const patchWidth = 3 * config.patchSize ** 2;
const patchValues = randoms((tokens - 1) * patchWidth, 1);

async function tower(): Promise<VisionTransformer> {
  const gpu = await sharedGpu();
  const parameters = new Parameters();
  for (const [name, { shape }] of tensors) parameters.set(name, Tensor.from(gpu, weights(name), shape));
  return new VisionTransformer(config, parameters);
}

/** What stands on the image's feature: the float64 definition and the model's own. */
interface Head {
  readonly name: string;
  readonly feature: VisionFeature;
  readonly reference: (feature: Float64Array) => number;
  readonly model: () => Promise<{ predict(features: Tensor): Tensor }>;
}

const unit = (x: Float64Array) => x.map((v) => v / Math.hypot(...x));
const dot = (row: ArrayLike<number>, x: Float64Array) => x.reduce((s, v, i) => s + v * row[i]!, 0);
const chunks = (values: Float32Array, width: number) =>
  Array.from({ length: values.length / width }, (_, i) => values.subarray(i * width, (i + 1) * width));

const textWidth = 24;
const text = randoms(textWidth, 9, 0.3);
function headValues(input: number) {
  const hidden = 6;
  return {
    '1.weight': { shape: [hidden, input], data: randoms(hidden * input, 2, 0.3) },
    '1.bias': { shape: [hidden], data: randoms(hidden, 3) },
    '4.weight': { shape: [1, hidden], data: randoms(hidden, 4) },
    '4.bias': { shape: [1], data: randoms(1, 5) },
  };
}
function mlp(values: ReturnType<typeof headValues>, x: Float64Array): number {
  const hidden = chunks(values['1.weight'].data, x.length).map((row, i) =>
    Math.max(0, dot(row, x) + values['1.bias'].data[i]!),
  );
  return dot(values['4.weight'].data, Float64Array.from(hidden)) + values['4.bias'].data[0]!;
}

function pooledHead(blocks: readonly number[], pool: Pool): Head {
  const width = blocks.length * poolWidth(pool) * config.width;
  const values = headValues(width);
  const statistics = {
    mean: randoms(width, 6, 0.1),
    std: randoms(width, 7, 0.2).map((v) => 0.5 + Math.abs(v)),
  };
  return {
    name: `image-only, ${pool} of blocks ${blocks.join(' and ')}`,
    feature: { kind: 'pooled', blocks, pool },
    reference: (x) =>
      mlp(
        values,
        x.map((v, i) => (v - statistics.mean[i]!) / statistics.std[i]!),
      ),
    model: async () => {
      const gpu = await sharedGpu();
      const head = new RegressionHead(gpu, values);
      const scaling = new FeatureScaling(gpu, statistics);
      return { predict: (features) => scope(() => head.forward(scaling.forward(features))) };
    },
  };
}

const classTexts = chunks(randoms(3 * 8, 8), 8).map((row) => Float32Array.from(unit(Float64Array.from(row))));
const heads: Head[] = [
  {
    name: 'clip-agiqa, its text folded',
    feature: { kind: 'projected' },
    reference: (x) => mlp(headValues(8 + textWidth), Float64Array.from([...unit(x), ...text])),
    model: async () => {
      const head = new RegressionHead(await sharedGpu(), foldTextFeatures(headValues(8 + textWidth), text));
      return { predict: (features) => scope(() => head.forward(l2Normalize(features))) };
    },
  },
  {
    name: 'zero-shot',
    feature: { kind: 'projected' },
    reference: (x) => {
      const p = classTexts.map((row) => Math.exp(3 * dot(row, unit(x))));
      return dot(
        [0, 2, 5],
        Float64Array.from(p, (v) => v / p.reduce((a, b) => a + b)),
      );
    },
    model: async () => {
      const rows = Float32Array.from(classTexts.flatMap((row) => [...row]));
      return new ClassScores(Tensor.from(await sharedGpu(), rows, [3, 8]), Float32Array.of(0, 2, 5), 3);
    },
  },
  pooledHead([1, 2], 'stats'),
  pooledHead([2], 'mean'),
  pooledHead([1], 'cls'),
];

/** The maps by their definition: effects by central differences, and rollout as a product of whole matrices. */
function reference({ feature, reference: score }: Head) {
  const patches = chunks(patchValues, patchWidth).map((row) => Float64Array.from(row));
  const by = 1e-4;
  type Pooled = (tokens: readonly Float64Array[], block: number) => readonly Float64Array[];
  const run = (shift?: Shift, change: Pooled = (tokens) => tokens) => {
    const pass = visionPass(config, weights, patches, shift);
    const x =
      feature.kind === 'projected'
        ? projectedFeature(config, weights, pass.outputs.at(-1)!)
        : Float64Array.from(
            feature.blocks.flatMap((b) => [...pooledFeature(change(pass.outputs[b - 1]!, b), feature.pool)]),
          );
    return { ...pass, score: score(x) };
  };
  const whole = run();
  const depth = feature.kind === 'projected' ? config.layers : Math.max(...feature.blocks);
  const places = Array.from({ length: tokens }, (_, i) => i);
  const slope = (f: (step: number) => number) => (f(by) - f(-by)) / (2 * by);

  /** Gradients by the logits of the class token's attending to each token. */
  const attended = (block: number) =>
    places.map((key) =>
      Array.from({ length: config.heads }, (_, head) =>
        slope((step) => run({ block, head, query: 0, key, by: step }).score),
      ),
    );
  /** What the score gains where a patch token differs more from the mean patch, before it is pooled. */
  const pooled = (block: number) =>
    places.map((token) => {
      if (token === 0 || feature.kind === 'projected' || !feature.blocks.includes(block + 1)) return [0];
      return [
        slope((step) => {
          const change: Pooled = (all, b) => {
            const mean = all[0]!.map(
              (_, c) => all.slice(1).reduce((sum, row) => sum + row[c]!, 0) / (tokens - 1),
            );
            return all.map((row, t) =>
              b === block + 1 && t === token ? row.map((v, c) => v + step * (v - mean[c]!)) : row,
            );
          };
          return run(undefined, change).score;
        }),
      ];
    });
  const looks = whole.probabilities
    .slice(0, depth)
    .map((heads) => places.map((q) => places.map((j) => sumOf(heads.map((P) => P[q]![j]!)) / config.heads)));
  const madeOf = (row: readonly number[], A: readonly (readonly number[])[]) =>
    row.map((v, j) => (v + sumOf(row.map((w, q) => w * A[q]![j]!))) / 2);
  const effects = Array.from({ length: depth }, (_, i) => [attended(i), pooled(i)]).flat();
  const [raises, lowers] = [1, -1].map((sign) =>
    places
      .map((token) => sumOf(effects.flatMap((of) => of[token]!.map((v) => Math.max(0, sign * v)))))
      .slice(1),
  ) as [number[], number[]];
  const rollout = looks
    .reduceRight(
      madeOf,
      places.map((i) => Number(i === 0)),
    )
    .slice(1);
  return { score: whole.score, raises, lowers, rollout, attention: looks.at(-1)![0]!.slice(1) };
}

async function explained(head: Head, change: (score: Tensor) => Tensor = (score) => score) {
  const gpu = await sharedGpu();
  const vision = await tower();
  const model = await head.model();
  const { feature } = head;
  const choice =
    feature.kind === 'projected'
      ? { trainer: 'clip-agiqa', layers: '', pool: 'cls' as const }
      : { trainer: 'image-only', layers: feature.blocks.join(), pool: feature.pool };
  const { encode } = featureExtractor(vision, '', { ...choice, weightType: 'float32' });
  const patches = Tensor.from(gpu, patchValues, [tokens - 1, patchWidth]);
  const score = (x: Tensor) => scope(() => change(model.predict(encode(x))));
  return { subject: { vision, score }, patches };
}

it.each(heads)('is what its definition says of $name', async (head) => {
  const expected = reference(head);
  const { subject, patches } = await explained(head);
  const found = await explain(subject, patches);
  expect(found.side).toBe(2);
  expect(found.score).toBeCloseTo(expected.score, 4);
  expect(maxError(found.raises, expected.raises)).toBeLessThan(1e-4);
  expect(maxError(found.lowers, expected.lowers)).toBeLessThan(1e-4);
  const signed = expected.raises.map((v, i) => v - expected.lowers[i]!);
  expect(Math.max(...signed.map(Math.abs))).toBeGreaterThan(0.001);
  expect(maxError(found.relevance, signed)).toBeLessThan(1e-3);
  expect(maxError(found.attention, expected.attention)).toBeLessThan(1e-4);
  expect(maxError(found.rollout, expected.rollout)).toBeLessThan(1e-4);
});

it('follows the unit of the score, and turns with its sign', async () => {
  const { subject, patches } = await explained(heads[2]!);
  const plain = await explain(subject, patches);
  const offset = Tensor.from(await sharedGpu(), [7]);
  const scaled = await explained(heads[2]!, (score) => add(scale(score, 20), offset));
  const larger = await explain(scaled.subject, scaled.patches);
  expect(
    maxError(
      larger.raises,
      plain.raises.map((v) => 20 * v),
    ),
  ).toBeLessThan(1e-5);
  expect(
    maxError(
      larger.lowers,
      plain.lowers.map((v) => 20 * v),
    ),
  ).toBeLessThan(1e-5);
  const turned = await explained(heads[2]!, (score) => scale(score, -1));
  const opposite = await explain(turned.subject, turned.patches);
  expect(maxError(opposite.raises, plain.lowers)).toBeLessThan(1e-5);
  expect(maxError(opposite.lowers, plain.raises)).toBeLessThan(1e-5);
});

it('what attention raises and lowers cancels, as it only shares out', async () => {
  const gpu = await sharedGpu();
  const [count, width, perHead] = [7, 12, 3];
  const qkv = Tensor.from(gpu, randoms(count * 3 * width, 20), [1, count, 3 * width]);
  const w = Tensor.from(gpu, randoms(count * width, 21), [1, count, width]);
  const f = () => scope(() => sum(multiply(attention(qkv, { heads: perHead }), w)));
  const { blocks } = valueAndEffects(f, qkv);
  expect(blocks).toHaveLength(1);
  const [{ probability, attended, pooled }] = blocks as [BlockEffects];
  expect(pooled).toBeNull();
  const [raised, lowered] = await Promise.all([attended.raises.read(), attended.lowers.read()]);
  expect(sumOf(raised)).toBeGreaterThan(0.1);
  expect(sumOf(raised)).toBeCloseTo(sumOf(lowered), 4);
  expect(maxError(await sum(probability, -1).read(), Array(count).fill(1))).toBeLessThan(1e-5);
  disposeEffects(blocks);
});

it('takes one forward and one backward pass, and leaves nothing behind, also where it fails', async () => {
  const gpu = await sharedGpu();
  const { subject, patches } = await explained(heads[0]!);
  const before = gpu.pool.statistics.liveBuffers;
  const calls: string[] = [];
  const counted = {
    ...subject,
    score: (x: Tensor) => {
      calls.push('forward');
      return subject.score(x);
    },
  };
  const kernels: string[] = [];
  gpu.tracer = { dispatch: (kernel) => kernels.push(kernel) };
  await explain(counted, patches).finally(() => (gpu.tracer = undefined));
  expect(calls).toEqual(['forward']);
  // Once a gradient, in every variant.
  expect(kernels.filter((kernel) => kernel === 'attention_delta')).toHaveLength(config.layers);
  expect(gpu.pool.statistics.liveBuffers).toEqual(before);
  const failing = { ...subject, score: (x: Tensor) => concat([subject.score(x), subject.score(x)], 0) };
  await expect(explain(failing, patches)).rejects.toThrow('one number');
  const constant = { ...subject, score: () => Tensor.from(gpu, [1]) };
  await expect(explain(constant, patches)).rejects.toThrow('no attention');
  const two = concat([patches, patches], 0);
  await expect(explain(subject, two)).rejects.toThrow('4 patches of one image');
  two.dispose();
  expect(gpu.pool.statistics.liveBuffers).toEqual(before);
});

it('a number that all patches share has a standard deviation of 0, and no gradient of NaN', async () => {
  const gpu = await sharedGpu();
  const x = Tensor.from(gpu, Float32Array.of(1, 2, 3, 4, 3, 5, 3, 6), [1, 4, 2]);
  const { value, gradients } = valueAndGradients(() => scope(() => sum(poolTokens(x, 'stats'))), [x]);
  expect([...(await gradients.get(x)!.read())].every(Number.isFinite)).toBe(true);
  value.dispose();
});
