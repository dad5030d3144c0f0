/** TensorFlow.js, WebGPU backend. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { blockParameters, browser, serve } from './serve.mjs';

browser();
// Gradients come as a module that Node does not take for one: all of it is bundled, so that there is one copy of its core.
const bundled = new URL('node_modules/.cache/tfjs.mjs', import.meta.url);
await build({
  stdin: {
    contents: `import '@tensorflow/tfjs-core/dist/register_all_gradients';
      import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
      import '@tensorflow/tfjs-backend-webgpu';
      export * from '@tensorflow/tfjs-core';`,
    resolveDir: import.meta.dirname,
  },
  outfile: fileURLToPath(bundled),
  bundle: true,
  format: 'esm',
  platform: 'node',
  mainFields: ['module', 'main'],
  logLevel: 'error',
  banner: {
    js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`,
  },
});
const tf = await import(bundled);
await tf.setBackend('webgpu');
await tf.ready();
const backend = tf.backend();

/** The queue holds nothing until the open pass is ended and submitted. */
async function finish() {
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
  await backend.queue.onSubmittedWorkDone();
}

function layerNorm(x, weight, bias) {
  const centred = x.sub(x.mean(-1, true));
  const variance = centred.square().mean(-1, true);
  return centred.mul(variance.add(1e-5).rsqrt()).mul(weight).add(bias);
}

/** q, k and v are [batch, heads, tokens, headDim], the mask is added to the scores. */
function attention(q, k, v, mask) {
  const scores = tf.matMul(q, k, false, true).mul(q.shape[3] ** -0.5);
  return tf.matMul((mask ? scores.add(mask) : scores).softmax(), v);
}

/** Fused where no gradient is wanted; the fused one's gradient would compute that of the weight too. */
const linear = (gradient) => (x, weight, bias) =>
  gradient ? tf.matMul(x, weight).add(bias) : tf.fused.matMul({ a: x, b: weight, bias });

function block(x, p, { batch, tokens, width, heads, gradient }, mask) {
  const dense = linear(gradient);
  const split = (t) => t.reshape([batch, tokens, heads, width / heads]).transpose([0, 2, 1, 3]);
  const normed = layerNorm(x, p.ln1Weight, p.ln1Bias);
  const [q, k, v] = tf.split(dense(normed, p.inWeight, p.inBias), 3, 1).map(split);
  const heard = attention(q, k, v, mask)
    .transpose([0, 2, 1, 3])
    .reshape([batch * tokens, width]);
  const middle = x.add(dense(heard, p.outWeight, p.outBias));
  const hidden = dense(layerNorm(middle, p.ln2Weight, p.ln2Bias), p.fcWeight, p.fcBias);
  return middle.add(dense(hidden.mul(hidden.mul(1.702).sigmoid()), p.projWeight, p.projBias));
}

const causalMask = (tokens) =>
  tf.tensor2d(
    Float32Array.from({ length: tokens ** 2 }, (_, i) => (i % tokens > Math.floor(i / tokens) ? -1e9 : 0)),
    [tokens, tokens],
  );

/** The function of a task, what it is differentiated by, and how its tensors lie in what goes in and comes out. */
const tasks = {
  matmul: ({ m, k, n }, inputs) => {
    const b = tf.tensor2d(inputs.b, [k, n]);
    return { f: (a) => tf.matMul(a, b), arguments: [tf.tensor2d(inputs.a, [m, k])] };
  },
  softmax: ({ rows, width }, inputs) => ({
    f: (x) => x.softmax(),
    arguments: [tf.tensor2d(inputs.x, [rows, width])],
  }),
  layerNorm: ({ rows, width }, inputs) => {
    const [weight, bias] = [tf.tensor1d(inputs.weight), tf.tensor1d(inputs.bias)];
    return { f: (x) => layerNorm(x, weight, bias), arguments: [tf.tensor2d(inputs.x, [rows, width])] };
  },
  attention: ({ batch, tokens, heads, headDim, causal }, inputs) => {
    const mask = causal ? causalMask(tokens) : null;
    // Heads stand apart before the clock starts: what a block pays for splitting them is measured with the block.
    const lay = (data) => tf.tensor4d(data, [batch, tokens, heads, headDim]).transpose([0, 2, 1, 3]);
    return {
      f: (q, k, v) => attention(q, k, v, mask),
      arguments: [inputs.q, inputs.k, inputs.v].map(lay),
      lay,
      unlay: (out) => out.transpose([0, 2, 1, 3]),
    };
  },
  block: (task, inputs) => {
    const { batch, tokens, width, causal } = task;
    const mask = causal ? causalMask(tokens) : null;
    const shapes = { inWeight: [width, 3 * width], outWeight: [width, width] };
    Object.assign(shapes, { fcWeight: [width, 4 * width], projWeight: [4 * width, width] });
    const p = Object.fromEntries(
      blockParameters.map((name) => [name, tf.tensor(inputs[name], shapes[name] ?? [inputs[name].length])]),
    );
    return {
      f: (x) => block(x, p, task, mask),
      arguments: [tf.tensor2d(inputs.x, [batch * tokens, width])],
    };
  },
};

serve(async (task, inputs) => {
  tf.engine().startScope();
  const { f, arguments: given, lay, unlay = (out) => out } = tasks[task.kind](task, inputs);
  const dy = task.gradient ? (lay ? lay(inputs.dy) : tf.tensor(inputs.dy, given[0].shape)) : null;
  await finish();
  let outputs = [];
  return {
    async run() {
      for (const output of outputs) output.dispose();
      outputs = tf.tidy(() => {
        if (!task.gradient) return [f(...given)];
        const { value, grads } = tf.engine().gradients(() => f(...given), given, dy);
        return [value, ...grads];
      });
      await finish();
    },
    read: () => Promise.all(outputs.map((output) => unlay(output).data())),
    release: () => tf.engine().endScope(),
  };
});
