/** onnxruntime-web, WebGPU execution provider, with its fused attention. */
import { Graph } from './onnx.mjs';
import { browser, serve } from './serve.mjs';

let device;
browser((opened) => {
  device = opened;
  // Dawn in Node does not take views of shared memory, which WebAssembly's is.
  const writeBuffer = device.queue.writeBuffer.bind(device.queue);
  device.queue.writeBuffer = (buffer, at, data, from = 0, size) => {
    const shared = ArrayBuffer.isView(data) ? data.buffer : data;
    if (!(shared instanceof SharedArrayBuffer)) return writeBuffer(buffer, at, data, from, size);
    const unit = data.BYTES_PER_ELEMENT ?? 1;
    const begin = (data.byteOffset ?? 0) + from * unit;
    const bytes = new Uint8Array(
      shared,
      begin,
      size === undefined ? data.byteLength - from * unit : size * unit,
    );
    return writeBuffer(buffer, at, bytes.slice());
  };
});
const ort = await import('onnxruntime-web/webgpu');
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

const layerNorm = (graph, x, weight, bias) =>
  graph.add('LayerNormalization', [x, weight, bias], { axis: -1, epsilon: { float: 1e-5 } });

/** q, k and v are [batch, tokens, heads · headDim]. */
function attention(graph, q, k, v, { heads, causal }) {
  const attributes = { num_heads: heads, ...(causal ? { unidirectional: 1 } : {}) };
  return graph.addOwn('MultiHeadAttention', [q, k, v], attributes);
}

/** The graph's output, and the shapes of its inputs and of it. */
const tasks = {
  matmul: (graph, { m, k, n }, { b }) => ({
    output: graph.add('MatMul', [graph.input('a', [m, k]), graph.constant(b, [k, n])]),
    inputs: { a: [m, k] },
    shape: [m, n],
  }),
  softmax: (graph, { rows, width }) => ({
    output: graph.add('Softmax', [graph.input('x', [rows, width])], { axis: -1 }),
    inputs: { x: [rows, width] },
    shape: [rows, width],
  }),
  layerNorm: (graph, { rows, width }, { weight, bias }) => {
    const affine = [weight, bias].map((data) => graph.constant(data, [width]));
    return {
      output: layerNorm(graph, graph.input('x', [rows, width]), ...affine),
      inputs: { x: [rows, width] },
      shape: [rows, width],
    };
  },
  attention: (graph, task) => {
    const shape = [task.batch, task.tokens, task.heads * task.headDim];
    const qkv = ['q', 'k', 'v'].map((name) => graph.input(name, shape));
    return { output: attention(graph, ...qkv, task), inputs: { q: shape, k: shape, v: shape }, shape };
  },
  block: (graph, task, values) => {
    const { batch, tokens, width } = task;
    const shape = [batch, tokens, width];
    const vector = (name) => graph.constant(values[name], [values[name].length]);
    const dense = (x, name, inputs = width) => {
      const weight = graph.constant(values[`${name}Weight`], [
        inputs,
        values[`${name}Weight`].length / inputs,
      ]);
      return graph.add('Add', [graph.add('MatMul', [x, weight]), vector(`${name}Bias`)]);
    };
    const norm = (x, name) => layerNorm(graph, x, vector(`${name}Weight`), vector(`${name}Bias`));
    const x = graph.input('x', shape);
    const qkv = graph.add('Split', [dense(norm(x, 'ln1'), 'in')], { axis: -1 }, { outputs: 3 });
    const middle = graph.add('Add', [x, dense(attention(graph, ...qkv, task), 'out')]);
    const hidden = dense(norm(middle, 'ln2'), 'fc');
    const gate = graph.add('Mul', [hidden, graph.constant(Float32Array.of(1.702), [])]);
    const active = graph.add('Mul', [hidden, graph.add('Sigmoid', [gate])]);
    return {
      output: graph.add('Add', [middle, dense(active, 'proj', 4 * width)]),
      inputs: { x: shape },
      shape,
    };
  },
};

serve(async (task, values) => {
  if (task.gradient) throw new Error('has no gradients');
  const graph = new Graph();
  const { output, inputs, shape } = tasks[task.kind](graph, task, values);
  const session = await ort.InferenceSession.create(graph.model(output, shape), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
    graphOptimizationLevel: 'all',
  });
  const buffers = [];
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, dims]) => {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      const buffer = device.createBuffer({ size: values[name].byteLength, usage });
      device.queue.writeBuffer(buffer, 0, values[name]);
      buffers.push(buffer);
      return [name, ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims })];
    }),
  );
  await device.queue.onSubmittedWorkDone();
  let result;
  return {
    async run() {
      result?.dispose();
      result = (await session.run(feeds))[output];
      await device.queue.onSubmittedWorkDone();
    },
    read: async () => [(await result.getData()).slice()],
    release() {
      result?.dispose();
      void session.release();
      for (const buffer of buffers) buffer.destroy();
    },
  };
});
