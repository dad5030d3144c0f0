import type { GpuStorage } from './buffer-pool.ts';
import type { DeviceErrors } from './errors.ts';
import type { DeviceMemory } from './memory.ts';
import { packParams } from './params.ts';
import type { Pipeline } from './pipelines.ts';

interface Entry {
  readonly pipeline: Pipeline;
  readonly params: Float64Array;
  readonly buffers: readonly GpuStorage[];
  readonly group: GPUBindGroup;
}

const noParams: readonly number[] = [];
const largest = 65536;

/**
 * Bind groups by what they bind: a pipeline, the numbers of its uniform block, its storage buffers. A steady state asks for
 * the same ones step after step, so that it makes none. Looked up by a hash of numbers: a key of text would cost more
 * than the rest of a dispatch. The numbers become words, and are held to the block's declaration, when a group is made.
 */
export class BindGroups {
  readonly #device: GPUDevice;
  readonly #memory: DeviceMemory;
  readonly #errors: DeviceErrors;
  readonly #byHash = new Map<number, Entry[]>();
  readonly #uniforms = new Map<string, GPUBuffer>();
  #size = 0;

  constructor(device: GPUDevice, memory: DeviceMemory, errors: DeviceErrors) {
    this.#device = device;
    this.#memory = memory;
    this.#errors = errors;
  }

  /** The bind group; made at the first call with these contents. */
  get(pipeline: Pipeline, buffers: readonly GpuStorage[], params = noParams): GPUBindGroup {
    let hash = pipeline.id;
    for (let i = 0; i < params.length; i++) {
      const value = params[i]!;
      // The multiple brings in what stands behind the point.
      hash = Math.imul(hash ^ value ^ (value * 0x20000000), 0x9e3779b1);
    }
    for (let i = 0; i < buffers.length; i++)
      hash = Math.imul(hash ^ (buffers[i]?.id ?? 0), 0x85ebca6b) ^ (hash >>> 15);
    let entries = this.#byHash.get(hash);
    if (entries) {
      for (const entry of entries)
        if (
          entry.pipeline === pipeline &&
          sameBuffers(entry.buffers, buffers) &&
          sameNumbers(entry.params, params)
        )
          return entry.group;
    }
    const group = this.#create(pipeline, buffers, params);
    if (this.#size >= largest) this.clear();
    entries = this.#byHash.get(hash);
    if (!entries) this.#byHash.set(hash, (entries = []));
    entries.push({ pipeline, params: Float64Array.from(params), buffers: [...buffers], group });
    this.#size++;
    return group;
  }

  /** Forgets them all. */
  clear(): void {
    this.#byHash.clear();
    this.#uniforms.clear(); // destroyed with the last group that binds them
    this.#size = 0;
  }

  #create(pipeline: Pipeline, buffers: readonly GpuStorage[], params: readonly number[]): GPUBindGroup {
    const words = wordsOf(pipeline, params);
    for (const index of pipeline.writes)
      for (let other = 0; other < buffers.length; other++)
        if (other !== index && buffers[other] === buffers[index])
          throw new Error(`kernel ${pipeline.name}: buffer ${other} is also the output, ${index}`);
    const entries: GPUBindGroupEntry[] = [];
    if (pipeline.params) entries.push({ binding: 0, resource: { buffer: this.#uniform(words) } });
    for (const [i, buffer] of buffers.entries()) {
      if (buffer?.kind !== 'buffer' && buffer?.kind !== 'texture')
        throw new Error(
          `kernel ${pipeline.name}: buffer ${i} does not come from the buffer pool (a tensor's buffer is tensor.buffer)`,
        );
      if (!buffer.live) throw new Error(`kernel ${pipeline.name}: buffer ${i} was returned to the pool`);
      entries.push({ binding: pipeline.storage[i]!, resource: buffer.resource });
    }
    return this.#errors.attempt(
      () => {
        const group = this.#device.createBindGroup({
          label: pipeline.name,
          layout: pipeline.layout,
          entries,
        });
        if (this.#errors.immediate) this.#try(pipeline, group);
        return group;
      },
      ({ message }) => new Error(`kernel ${pipeline.name}: ${message}`),
      () => this.clear(), // what is wrong is not kept as if it were right
    );
  }

  /**
   * What is wrong with a bind group (a buffer smaller than the kernel declares it) shows in an encoder, and would take with it
   * all that is recorded there: so in one of its own first.
   */
  #try(pipeline: Pipeline, group: GPUBindGroup): void {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline.raw);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.finish();
  }

  /** Uniform blocks are immutable and shared by content: sizes repeat from step to step, so a steady state writes none. */
  #uniform(words: Uint32Array): GPUBuffer {
    const key = words.join();
    let buffer = this.#uniforms.get(key);
    if (buffer) return buffer;
    const size = Math.ceil(words.length / 4) * 16;
    const usage = GPUBufferUsage.UNIFORM;
    buffer = this.#memory.createBuffer({ size, usage, mappedAtCreation: true }, 'the params of a kernel');
    new Uint32Array(buffer.getMappedRange()).set(words);
    buffer.unmap();
    this.#uniforms.set(key, buffer);
    return buffer;
  }
}

function wordsOf({ name, params }: Pipeline, values: readonly number[]): Uint32Array {
  try {
    return packParams(params, values);
  } catch (error) {
    throw new Error(`kernel ${name}: ${(error as Error).message}`, { cause: error });
  }
}

function sameBuffers(a: readonly GpuStorage[], b: readonly GpuStorage[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether the numbers are the same: NaN is, 0 and -0 are not. */
function sameNumbers(a: Float64Array, b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}
