import {
  AdamW,
  add,
  attention,
  crossEntropy,
  type Gpu,
  gatherRows,
  layerNorm,
  linear,
  reshape,
  scope,
  Tensor,
  valueAndGradients,
} from '../../src/index.ts';

const [batch, length, symbols, width, heads] = [32, 8, 10, 32, 2];

/** A two-layer transformer learns to write a sequence of digits backwards; returns the loss of each step. */
export async function trainTransformer(gpu: Gpu, steps: number): Promise<number[]> {
  const parameters: Tensor[] = [];
  const matrix = (rows: number, columns: number, scale = columns ** -0.5) => {
    const values = Float32Array.from(
      { length: rows * columns },
      () => scale * (2 * Math.random() - 1) * Math.sqrt(3),
    );
    parameters.push(Tensor.from(gpu, values, [rows, columns]));
    return parameters.at(-1)!;
  };
  const tokens = matrix(symbols, width, 0.5);
  const positions = matrix(length, width, 0.5);
  const layers = [1, 2].map(() => ({
    qkv: matrix(3 * width, width),
    out: matrix(width, width),
    up: matrix(4 * width, width),
    down: matrix(width, 4 * width),
  }));
  const logits = matrix(symbols, width);

  const forward = (ids: Tensor) => {
    let x = add(reshape(gatherRows(tokens, ids), [batch, length, width]), positions);
    for (const { qkv, out, up, down } of layers) {
      const attended = attention(linear(layerNorm(x, null, null), qkv, null), { heads });
      x = linear(attended, out, null, { residual: x });
      x = linear(linear(layerNorm(x, null, null), up, null, { activation: 'gelu' }), down, null, {
        residual: x,
      });
    }
    return reshape(linear(layerNorm(x, null, null), logits, null), [batch * length, symbols]);
  };

  // The inputs of a step are buffers, so that the captured step can be replayed with new contents.
  const ids = Tensor.from(gpu, new Uint32Array(batch * length));
  const targets = Tensor.from(gpu, new Uint32Array(batch * length));
  const loss = Tensor.zeros(gpu, [1]);
  const optimizer = new AdamW(parameters, { lr: 3e-3, weightDecay: 0 });
  const step = () =>
    scope(() => {
      const { value, gradients } = valueAndGradients(() => crossEntropy(forward(ids), targets), parameters);
      optimizer.step(gradients);
      gpu.copy(value.buffer, 0, loss.buffer, 0, 4);
    });
  const losses: number[] = [];
  let recording: { replay(): void; dispose(): void } | undefined;
  for (let number = 1; number <= steps; number++) {
    const digits = Uint32Array.from({ length: batch * length }, () => Math.floor(symbols * Math.random()));
    ids.write(digits);
    targets.write(digits.map((_, i) => digits[i - (i % length) + (length - 1 - (i % length))]!));
    optimizer.prepare(number, 3e-3);
    if (recording) recording.replay();
    else recording = gpu.capture(step).recording;
    losses.push((await loss.read())[0]!);
  }
  recording?.dispose();
  optimizer.dispose();
  for (const tensor of [ids, targets, loss, ...parameters]) tensor.dispose();
  return losses;
}
