import { AdamW, type Gpu, linear, mseLoss, scope, Tensor, valueAndGradients } from '../../src/index.ts';

/** A multilayer perceptron learns y = sin(3·x0)·x1 from 256 points; returns the loss of each step. */
export async function trainMlp(gpu: Gpu, steps: number): Promise<number[]> {
  const random = (count: number, scale: number) =>
    Float32Array.from({ length: count }, () => scale * (2 * Math.random() - 1));
  const points = random(512, 1);
  const values = Float32Array.from(
    { length: 256 },
    (_, i) => Math.sin(3 * points[2 * i]!) * points[2 * i + 1]!,
  );
  const x = Tensor.from(gpu, points, [256, 2]);
  const y = Tensor.from(gpu, values, [256, 1]);
  const w1 = Tensor.from(gpu, random(64 * 2, 1), [64, 2]);
  const b1 = Tensor.from(gpu, random(64, 1));
  const w2 = Tensor.from(gpu, random(64, 0.2), [1, 64]);
  const b2 = Tensor.zeros(gpu, [1]);
  const parameters = [w1, b1, w2, b2];
  const optimizer = new AdamW(parameters, { lr: 0.01, weightDecay: 0 });
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    optimizer.prepare(step, 0.01);
    const loss = scope(() => {
      const { value, gradients } = valueAndGradients(
        () => mseLoss(linear(linear(x, w1, b1, { activation: 'tanh' }), w2, b2), y),
        parameters,
      );
      optimizer.step(gradients);
      return value; // everything else the step made is freed here
    });
    losses.push((await loss.read())[0]!);
    loss.dispose();
  }
  optimizer.dispose();
  for (const tensor of [x, y, ...parameters]) tensor.dispose();
  return losses;
}
