/** What the section `kernels` computes: CLIP's shapes, their operations and bytes, and the values that go in. */
import { uniforms } from '../../src/common/random.ts';
import { loadTokenizer } from '../../src/data/tokenizer/vocabulary.ts';
import { qualityPrompts } from '../../src/model/agiqa.ts';
import { type PrefixTree, prefixTree } from '../../src/model/prefix-tree.ts';
import { vitB16 } from '../model.ts';

/** With `gradient`: forward, and the gradients by what comes in (not by weights), as where the encoders are frozen. */
interface Differentiable {
  readonly gradient?: boolean;
}

/** a [m, k] · b [k, n]. */
export interface MatmulTask {
  readonly kind: 'matmul';
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** Each of `rows` rows of `width` by itself. */
export interface RowTask extends Differentiable {
  readonly kind: 'softmax' | 'layerNorm';
  readonly rows: number;
  readonly width: number;
}

/** q, k and v are [batch, tokens, heads, headDim]. */
export interface AttentionTask extends Differentiable {
  readonly kind: 'attention';
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headDim: number;
  readonly causal: boolean;
}

/** A residual block of CLIP, x [batch, tokens, width]. */
export interface BlockTask extends Differentiable {
  readonly kind: 'block';
  readonly batch: number;
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
  readonly causal: boolean;
}

/** As it is sent to the peers, too. */
export type Task = MatmulTask | RowTask | AttentionTask | BlockTask;

export type Inputs = Readonly<Record<string, Float32Array>>;

const [vision, text] = [vitB16.vision, vitB16.text!];
const visionTokens = (vision.imageSize / vision.patchSize) ** 2 + 1;
/** The quality words' prompts. */
const prompts = 6;

const matmul = (m: number, k: number, n: number): MatmulTask => ({ kind: 'matmul', m, k, n });

/** Products of both towers at one image, eight images, six padded prompts and six packed ones. */
const matmuls = [35, visionTokens, prompts * text.contextLength, 8 * visionTokens].flatMap((rows) =>
  [vision, text].flatMap(({ width, mlpWidth }) => [
    matmul(rows, width, width),
    matmul(rows, width, mlpWidth),
    matmul(rows, mlpWidth, width),
  ]),
);

const visionAttention = (batch: number): AttentionTask => {
  const { heads, width } = vision;
  return { kind: 'attention', batch, tokens: visionTokens, heads, headDim: width / heads, causal: false };
};
const textAttention = (batch: number): AttentionTask => {
  const { heads, width, contextLength } = text;
  return { kind: 'attention', batch, tokens: contextLength, heads, headDim: width / heads, causal: true };
};
const attentions = [1, 8].flatMap((batch) => [visionAttention(batch), textAttention(batch)]);

const rows: RowTask[] = [
  { kind: 'softmax', rows: 8 * vision.heads * visionTokens, width: visionTokens },
  { kind: 'layerNorm', rows: 8 * visionTokens, width: vision.width },
];

const visionBlock: BlockTask = {
  kind: 'block',
  batch: 8,
  tokens: visionTokens,
  width: vision.width,
  heads: vision.heads,
  causal: false,
};
/** Of which the packed form is a second way. */
const textBlock: BlockTask = {
  kind: 'block',
  batch: prompts,
  tokens: text.contextLength,
  width: text.width,
  heads: text.heads,
  causal: true,
  gradient: true,
};

const withGradient = <T extends RowTask | AttentionTask>(task: T): T[] => [task, { ...task, gradient: true }];

/** Everything, or one of each kind. */
export function kernelTasks(quick: boolean): Task[] {
  const all = [...attentions.flatMap(withGradient), ...rows.flatMap(withGradient), visionBlock, textBlock];
  if (!quick) return [...matmuls, ...all];
  const small = [visionAttention(1), textAttention(1)].flatMap(withGradient);
  return [matmul(35, 512, 2048), matmul(8 * visionTokens, 768, 768), ...small, ...rows, textBlock];
}

/** A block's parameters; matrices are [in, out]. */
export function blockShapes(width: number): Readonly<Record<string, readonly number[]>> {
  return {
    ln1Weight: [width],
    ln1Bias: [width],
    inWeight: [width, 3 * width],
    inBias: [3 * width],
    outWeight: [width, width],
    outBias: [width],
    ln2Weight: [width],
    ln2Bias: [width],
    fcWeight: [width, 4 * width],
    fcBias: [4 * width],
    projWeight: [4 * width, width],
    projBias: [width],
  };
}

/** Values for a task; `dy` is the gradient of its output. */
export function taskInputs(task: Task): Inputs {
  let stream = 0;
  const draws = (count: number, range = 1, center = 0) =>
    Float32Array.from(uniforms(count, 1, stream++), (draw) => center + range * (2 * draw - 1));
  switch (task.kind) {
    case 'matmul':
      return { a: draws(task.m * task.k), b: draws(task.k * task.n) };
    case 'softmax':
    case 'layerNorm': {
      const count = task.rows * task.width;
      const rows = { x: draws(count, 3), dy: draws(count) };
      if (task.kind === 'softmax') return rows;
      return { ...rows, weight: draws(task.width, 0.5, 1), bias: draws(task.width) };
    }
    case 'attention': {
      const count = task.batch * task.tokens * task.heads * task.headDim;
      return { q: draws(count, 2), k: draws(count, 2), v: draws(count), dy: draws(count) };
    }
    case 'block': {
      const count = task.batch * task.tokens * task.width;
      const parameters = Object.entries(blockShapes(task.width)).map(([name, shape]) => {
        const [inputs = 1, outputs] = shape;
        if (outputs) return [name, draws(inputs * outputs, Math.sqrt(3 / inputs))] as const;
        return [name, draws(inputs, 0.1, /ln.Weight/.test(name) ? 1 : 0)] as const;
      });
      return { x: draws(count), dy: draws(count), ...Object.fromEntries(parameters) };
    }
  }
}

/** The six prompts as one prefix tree; rowOf[prompt][depth] is the row that holds it. */
export async function packedPrompts(): Promise<{ tree: PrefixTree; rowOf: number[][] }> {
  const slots = qualityPrompts(text, await loadTokenizer(), 16, 'end');
  const tree = prefixTree(slots, { classSpecific: false });
  const rowOf = slots.map((_, prompt) => {
    const path: number[] = [];
    for (let row = tree.eot[prompt]!; row >= 0; row = tree.parent[row]!) path.unshift(row);
    return path;
  });
  return { tree, rowOf };
}

/**
 * The text block's inputs made such that the packed form computes the same: prompts that share a row share its values, and
 * nothing after [EOT] has a gradient. Gives the packed x and dy, a row's dy the sum of its prompts'.
 */
export function sharePrompts(
  { x, dy }: Inputs,
  { tokens, width }: BlockTask,
  rowOf: readonly (readonly number[])[],
): { x: Float32Array; dy: Float32Array } {
  const count = 1 + Math.max(...rowOf.flat());
  const packed = { x: new Float32Array(count * width), dy: new Float32Array(count * width) };
  for (const [prompt, path] of rowOf.entries()) {
    for (const [depth, row] of path.entries()) {
      const at = (prompt * tokens + depth) * width;
      const own = packed.x.subarray(row * width, (row + 1) * width);
      if (own.some((value) => value !== 0)) x!.set(own, at);
      else own.set(x!.subarray(at, at + width));
      for (let i = 0; i < width; i++) packed.dy[row * width + i]! += dy![at + i]!;
    }
    dy!.fill(0, (prompt * tokens + path.length) * width, (prompt + 1) * tokens * width);
  }
  return packed;
}

/** 10⁹ operations (2 a multiply-add), or 10⁹ bytes read and written where memory is the limit. */
export interface Work {
  readonly amount: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
}

/** Attention counts in full: what a causal mask saves shows as speed. `backward`: the gradient alone. */
export function workOf(task: Task, part: 'whole' | 'backward' = 'whole', rowsOfBlock?: number): Work {
  const [forward, backward] = [
    part === 'whole',
    part === 'backward' || ('gradient' in task && task.gradient),
  ];
  switch (task.kind) {
    case 'matmul':
      return { amount: (2 * task.m * task.k * task.n) / 1e9, unit: 'GFLOP/s' };
    case 'softmax':
    case 'layerNorm': {
      // Forward reads x and writes y; backward reads two tensors and writes one.
      const tensors = (forward ? 2 : 0) + (backward ? 3 : 0);
      return { amount: (4 * tensors * task.rows * task.width) / 1e9, unit: 'GB/s' };
    }
    case 'attention': {
      const { batch, heads, tokens, headDim } = task;
      const times = (forward ? 4 : 0) + (backward ? 10 : 0);
      return { amount: (times * batch * heads * tokens ** 2 * headDim) / 1e9, unit: 'GFLOP/s' };
    }
    case 'block': {
      const { batch, tokens, width } = task;
      const [count, length, sequences] = rowsOfBlock
        ? [rowsOfBlock, rowsOfBlock, 1]
        : [batch * tokens, tokens, batch];
      const products = (forward ? 1 : 0) + (backward ? 1 : 0);
      const times = (forward ? 4 : 0) + (backward ? 10 : 0);
      const amount = products * 2 * count * 12 * width ** 2 + times * sequences * length ** 2 * width;
      return { amount: amount / 1e9, unit: 'GFLOP/s' };
    }
  }
}
