/** What every peer shares: a WebGPU device from the project's own Dawn toggles, and the requests of the bench. */
import { create, globals } from 'webgpu';

/**
 * Makes Node look like a browser with WebGPU.
 *
 * @param {(device: GPUDevice) => void} opened called with the device that the library opens
 */
export function browser(opened) {
  const gpu = create(JSON.parse(process.argv[2]));
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await requestAdapter(options);
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      device.addEventListener('uncapturederror', ({ error }) => failures.push(error.message));
      opened?.(device);
      return device;
    };
    return adapter;
  };
  Object.assign(globalThis, globals, { self: globalThis });
  const value = { gpu, userAgent: 'node', platform: 'node', hardwareConcurrency: 1 };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
}

/** What the device complained of; a result that came with a complaint is none. */
const failures = [];

/**
 * Sleeps in every turn of the event loop until asked to stop. While something waits for Dawn in Node, the loop spins, which takes a
 * core: on a software adapter one of those that compute. This engine waits without spinning (src/kernels/device/event-loop.ts); so that the figures
 * compare kernels and not ways to wait, peers are timed both as they come and with the loop slowed in the same way.
 *
 * @returns {() => void} ends it
 */
function slowTurns() {
  const start = performance.now();
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let ended = false;
  const turn = () => {
    if (ended) return;
    const waited = performance.now() - start;
    if (waited > 0.05) Atomics.wait(cell, 0, 0, Math.min(1, waited / 16));
    setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    ended = true;
  };
}

/**
 * Answers the bench: `prepare` a task, `time` one run of it, `read` what it computed.
 *
 * @param {(task: object, inputs: Record<string, Float32Array>) => Promise<{
 *   run(): Promise<void>,                 ends when the GPU has computed everything
 *   read(): Promise<Float32Array[]>,
 *   release(): void,
 * }>} prepare
 */
export function serve(prepare) {
  let prepared;
  let patient = false;
  const answers = {
    async prepare({ task, inputs }) {
      prepared?.release();
      prepared = undefined;
      prepared = await prepare(task, inputs);
      return {};
    },
    async time() {
      patient = !patient;
      const stop = patient ? slowTurns() : () => {};
      const start = performance.now();
      try {
        await prepared.run();
        return { milliseconds: performance.now() - start };
      } finally {
        stop();
      }
    },
    read: async () => ({ outputs: await prepared.read() }),
  };
  process.on('message', async (request) => {
    try {
      failures.length = 0;
      const answer = await answers[request.kind](request);
      if (failures.length > 0) throw new Error(failures[0]);
      process.send(answer);
    } catch (error) {
      process.send({ error: String(error?.message ?? error) });
    }
  });
  process.on('disconnect', () => process.exit());
  process.send({});
}

/** Names of a block's parameters, in the order in which tasks give them; matrices are [in, out]. */
export const blockParameters = [
  ...['ln1Weight', 'ln1Bias', 'inWeight', 'inBias', 'outWeight', 'outBias'],
  ...['ln2Weight', 'ln2Bias', 'fcWeight', 'fcBias', 'projWeight', 'projBias'],
];
