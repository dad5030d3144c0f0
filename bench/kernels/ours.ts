/** The tasks on this engine. */
import { packWeight } from '../../src/autograd/linear-weight.ts';
import type { Operand } from '../../src/autograd/op.ts';
import { scope } from '../../src/autograd/scope.ts';
import { valueAndGradients } from '../../src/autograd/tape.ts';
import { Tensor } from '../../src/autograd/tensor.ts';
import { attentionBackward, attentionForward } from '../../src/kernels/attention/index.ts';
import type { GpuBuffer } from '../../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { matmul } from '../../src/kernels/matmul/index.ts';
import { layerNorm, layerNormBackward } from '../../src/kernels/rows/layernorm.ts';
import { withRowVariant } from '../../src/kernels/rows/row-kernel.ts';
import { softmax, softmaxBackward } from '../../src/kernels/rows/softmax.ts';
import { type Block, transformerBlock } from '../../src/model/layers.ts';
import { workspace } from '../../test/reference/workspace.ts';
import { transposed } from './expected.ts';
import {
  type AttentionTask,
  type BlockTask,
  blockShapes,
  type Inputs,
  type MatmulTask,
  type RowTask,
  type Task,
} from './tasks.ts';

/** One way to compute something, to be timed. */
export interface Way {
  /** Records everything; the caller waits. */
  run(): void;
  /** What the last run computed. */
  read(): Promise<Float32Array[]>;
}

/** A task that is ready to run. */
export interface Prepared {
  readonly whole: Way;
  /** The gradient alone, from what the forward pass left; where the task has one and a kernel of its own for it. */
  readonly backward?: Way;
  release(): void;
}

export function prepareOurs(gpu: Gpu, task: Task, inputs: Inputs): Prepared {
  switch (task.kind) {
    case 'matmul':
      return prepareMatmul(gpu, task, inputs);
    case 'softmax':
    case 'layerNorm':
      return prepareRows(gpu, task, inputs);
    case 'attention':
      return prepareAttention(gpu, task, inputs);
    case 'block':
      return prepareBlock(gpu, task, inputs, inputs as { x: Float32Array; dy: Float32Array });
  }
}

/** B is a frozen layer's weight, [n, k], kept as a model keeps it. */
function prepareMatmul(gpu: Gpu, { m, k, n }: MatmulTask, inputs: Inputs): Prepared {
  const { upload, empty, download, release } = workspace(gpu);
  const [a, out] = [upload(inputs.a!), empty(m * n)];
  const weight = packWeight(gpu, transposed(inputs.b!, n), [n, k]);
  return {
    whole: {
      run: () => matmul(gpu, { a, b: weight, out, m, n, k, transposeB: true }),
      read: async () => [await download(out, m * n)],
    },
    release() {
      weight.dispose();
      release();
    },
  };
}

/** Two steps of a task with a gradient, as ways: both together, and the second alone. */
function steps(
  gradient: boolean | undefined,
  forward: () => void,
  backward: () => void,
  read: () => Promise<Float32Array[]>,
): Pick<Prepared, 'whole' | 'backward'> {
  if (!gradient) return { whole: { run: forward, read } };
  const both = () => {
    forward();
    backward();
  };
  return { whole: { run: both, read }, backward: { run: backward, read } };
}

/** By the variant that the engine chooses, or a given one. */
export function prepareRows(
  gpu: Gpu,
  { kind, rows, width, gradient }: RowTask,
  inputs: Inputs,
  variant?: string,
): Prepared {
  const { upload, empty, download, release } = workspace(gpu);
  const count = rows * width;
  const [x, y] = [upload(inputs.x!), empty(count)];
  const [dy, dx] = gradient ? [upload(inputs.dy!), empty(count)] : [x, y];
  const outputs = () => Promise.all([y, ...(gradient ? [dx] : [])].map((buffer) => download(buffer, count)));
  const shape = { rows, width };
  const by = (launch: () => void) => () => withRowVariant(variant, launch);
  if (kind === 'softmax')
    return {
      ...steps(
        gradient,
        by(() => softmax.run(gpu, { buffers: [x, y] }, shape)),
        by(() => softmaxBackward.run(gpu, { buffers: [y, dy, dx] }, shape)),
        outputs,
      ),
      release,
    };
  const affine = { gamma: upload(inputs.weight!), beta: upload(inputs.bias!) };
  const stats = empty(2 * rows);
  return {
    ...steps(
      gradient,
      by(() => layerNorm(gpu, { x, affine, y, stats: gradient ? stats : null, eps: 1e-5, ...shape })),
      by(() => layerNormBackward(gpu, { x, stats, dy, gamma: affine.gamma, residual: null, dx, ...shape })),
      outputs,
    ),
    release,
  };
}

/** q, k and v side by side in each token's row, as a block's projection leaves them. */
function prepareAttention(gpu: Gpu, task: AttentionTask, inputs: Inputs): Prepared {
  const { batch, tokens, heads, headDim, causal, gradient } = task;
  const { upload, empty, download, release } = workspace(gpu);
  const width = heads * headDim;
  const count = batch * tokens * width;
  const joined = new Float32Array(3 * count);
  for (const [part, data] of [inputs.q!, inputs.k!, inputs.v!].entries())
    for (let row = 0; row < batch * tokens; row++)
      joined.set(data.subarray(row * width, (row + 1) * width), (3 * row + part) * width);
  const thirds = (buffer: GpuBuffer) =>
    [0, 1, 2].map((part) => ({ buffer, offset: part * width, stride: 3 * width }));
  const [q, k, v] = thirds(upload(joined));
  const [out, lse] = [empty(count), empty(batch * heads * tokens)];
  const shape = { batch, queries: tokens, keys: tokens, heads, headDim };
  const tensors = { ...shape, mask: causal ? 'causal' : 'none', q: q!, k: k!, v: v!, out } as const;
  const dOut = gradient ? upload(inputs.dy!) : out;
  const gradients = gradient ? empty(3 * count) : out;
  const [dq, dk, dv] = thirds(gradients);
  const outputs = async () => {
    const values = [await download(out, count)];
    if (!gradient) return values;
    const all = await download(gradients, 3 * count);
    for (const part of [0, 1, 2]) {
      const own = new Float32Array(count);
      for (let row = 0; row < batch * tokens; row++)
        own.set(all.subarray((3 * row + part) * width, (3 * row + part + 1) * width), row * width);
      values.push(own);
    }
    return values;
  };
  return {
    ...steps(
      gradient,
      () => attentionForward(gpu, { ...tensors, lse: gradient ? lse : undefined }),
      () => attentionBackward(gpu, { ...tensors, lse, dOut, dq: dq!, dk: dk!, dv: dv! }),
      outputs,
    ),
    release,
  };
}

/** Rows of a packed prefix tree instead of sequences; see `packedPrompts`. */
interface Packed {
  readonly end: Int32Array;
}

/** `rows` are x and dy, in the task's shape or packed. */
export function prepareBlock(
  gpu: Gpu,
  { batch, tokens, width, heads, causal, gradient }: BlockTask,
  inputs: Inputs,
  rows: { readonly x: Float32Array; readonly dy: Float32Array },
  packed?: Packed,
): Prepared {
  const shape = packed ? [1, packed.end.length, width] : [batch, tokens, width];
  const [x, dy] = [rows.x, rows.dy].map((values) => Tensor.from(gpu, values, shape)) as [Tensor, Tensor];
  const end = packed && Tensor.from(gpu, Uint32Array.from(packed.end));
  const held: Operand[] = [];
  const hold = <W extends Operand>(made: W): W => {
    held.push(made);
    return made;
  };
  const shapes = blockShapes(width);
  const tensor = (name: string) => hold(Tensor.from(gpu, inputs[name]!));
  const norm = (name: string) => ({ weight: tensor(`${name}Weight`), bias: tensor(`${name}Bias`) });
  const projection = (name: string) => {
    const [first, outputs] = shapes[`${name}Weight`] as [number, number];
    const weight = hold(packWeight(gpu, transposed(inputs[`${name}Weight`]!, outputs), [outputs, first]));
    return { weight, bias: tensor(`${name}Bias`) };
  };
  const block: Block = {
    ln1: norm('ln1'),
    inProj: projection('in'),
    outProj: projection('out'),
    ln2: norm('ln2'),
    fc: projection('fc'),
    proj: projection('proj'),
  };
  const settings = { heads, activation: 'quick_gelu', layerNormEps: 1e-5 } as const;
  const visibility = end ? { end } : ({ mask: causal ? 'causal' : 'none' } as const);
  const forward = () => transformerBlock(x, block, settings, visibility);
  let outputs: Tensor[] = [];
  const dispose = () => {
    for (const tensor of outputs) tensor.dispose();
  };
  return {
    whole: {
      run() {
        dispose();
        outputs = scope(() => {
          if (!gradient) return [forward()];
          const { value, gradients } = valueAndGradients(forward, [x], dy);
          return [value, gradients.get(x)!];
        });
      },
      read: () => Promise.all(outputs.map((tensor) => tensor.read())),
    },
    release() {
      dispose();
      for (const tensor of [x, dy, ...(end ? [end] : []), ...held]) tensor.dispose();
    },
  };
}
