/** jax-js, every task compiled by its jit. */
import 'core-js/actual/iterator/index.js'; // which Node 20 lacks
import { blockParameters, browser, serve } from './serve.mjs';

browser();
const { blockUntilReady, defaultDevice, init, jit, nn, numpy: np, vjp } = await import('@jax-js/jax');
const opened = await init('webgpu');
if (!opened.includes('webgpu')) throw new Error('jax-js finds no WebGPU');
defaultDevice('webgpu');

const array = (data, shape) => np.array(data).reshape(shape);

/** With the projection of queries, keys and values as three. */
const parameterNames = blockParameters.flatMap((name) =>
  name.startsWith('in') ? ['q', 'k', 'v'].map((part) => name.replace('in', part)) : [name],
);

// An array is consumed by what it is given to; `.ref` keeps it for another use.

const layerNorm = (x, weight, bias) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias);

const attention = (causal) => (q, k, v) => nn.dotProductAttention(q, k, v, { isCausal: causal });

function block({ batch, tokens, width, heads, causal }) {
  return (x, ...parameters) => {
    const p = Object.fromEntries(parameterNames.map((name, i) => [name, parameters[i]]));
    const dense = (input, name) => np.matmul(input, p[`${name}Weight`]).add(p[`${name}Bias`]);
    const split = (t) => t.reshape([batch, tokens, heads, width / heads]);
    const normed = layerNorm(x.ref, p.ln1Weight, p.ln1Bias);
    // In one product, the gradient of its split comes out wrong for some shapes.
    const [q, k] = ['q', 'k'].map((name) => split(dense(normed.ref, name)));
    const v = split(dense(normed, 'v'));
    const heard = attention(causal)(q, k, v).reshape([batch * tokens, width]);
    const middle = x.add(dense(heard, 'out'));
    const hidden = dense(layerNorm(middle.ref, p.ln2Weight, p.ln2Bias), 'fc');
    return middle.add(dense(hidden.ref.mul(nn.sigmoid(hidden.mul(1.702))), 'proj'));
  };
}

/** The function of a task, its arguments, and how many of the first it is differentiated by. */
const tasks = {
  matmul: ({ m, k, n }, { a, b }) => ({ f: np.matmul, arguments: [array(a, [m, k]), array(b, [k, n])] }),
  softmax: ({ rows, width }, { x }) => ({
    f: (x) => nn.softmax(x, -1),
    arguments: [array(x, [rows, width])],
    differentiated: 1,
  }),
  layerNorm: ({ rows, width }, { x, weight, bias }) => ({
    f: layerNorm,
    arguments: [array(x, [rows, width]), array(weight, [width]), array(bias, [width])],
    differentiated: 1,
  }),
  attention: ({ batch, tokens, heads, headDim, causal }, { q, k, v }) => ({
    f: attention(causal),
    arguments: [q, k, v].map((data) => array(data, [batch, tokens, heads, headDim])),
    differentiated: 3,
  }),
  block: (task, inputs) => {
    const { batch, tokens, width } = task;
    const third = (name, number) =>
      Float32Array.from({ length: inputs[name].length / 3 }, (_, i) => {
        const [row, column] = [Math.floor(i / width), i % width];
        return inputs[name][(3 * row + number) * width + column];
      });
    const own = { ...inputs };
    for (const [number, name] of ['q', 'k', 'v'].entries())
      for (const part of ['Weight', 'Bias']) own[name + part] = third(`in${part}`, number);
    const parameters = parameterNames.map((name) => {
      const columns = name === 'fcWeight' ? 4 * width : width;
      return array(
        own[name],
        /^[^l].*Weight/.test(name) ? [own[name].length / columns, columns] : [own[name].length],
      );
    });
    return {
      f: block(task),
      arguments: [array(inputs.x, [batch * tokens, width]), ...parameters],
      differentiated: 1,
    };
  },
};

/** f's value, and its gradients by its first arguments. */
const withGradients = (f, differentiated) =>
  jit((dy, ...given) => {
    const constants = given.slice(differentiated);
    const [y, pullback] = vjp((...some) => f(...some, ...constants), given.slice(0, differentiated));
    return [y, ...pullback(dy)];
  });

serve(async (task, inputs) => {
  const { f, arguments: given, differentiated } = tasks[task.kind](task, inputs);
  const arrays = task.gradient ? [array(inputs.dy, given[0].shape), ...given] : given;
  await blockUntilReady(arrays);
  const compiled = task.gradient ? withGradients(f, differentiated) : jit(f);
  let outputs = [];
  return {
    async run() {
      for (const output of outputs) output.dispose();
      const result = compiled(...arrays.map((one) => one.ref));
      outputs = Array.isArray(result) ? result : [result];
      await blockUntilReady(outputs);
    },
    read: () => Promise.all(outputs.map((output) => output.ref.data())),
    release() {
      for (const one of [...outputs, ...arrays]) one.dispose();
      compiled.dispose?.();
    },
  };
});
