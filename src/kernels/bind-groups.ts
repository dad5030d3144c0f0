import type { GpuStorage } from './buffer-pool.ts';
import type { DeviceErrors } from './device-errors.ts';
import type { Pipeline } from './pipelines.ts';

interface Entry {
  readonly pipeline: Pipeline;
  readonly words: readonly number[];
  readonly buffers: readonly GpuStorage[];
  readonly group: GPUBindGroup;
}

const noWords: readonly number[] = [];
const largest = 65536;

/**
 * Bind groups by what they bind: a pipeline, the words of its uniform block, its storage buffers. A steady state asks for
 * the same ones step after step, so that it makes none. Looked up by a hash of numbers: a key of text would cost more
 * than the rest of a dispatch.
 */
export class BindGroups {
  readonly #device: GPUDevice;
  readonly #errors: DeviceErrors;
  readonly #byHash = new Map<number, Entry[]>();
  readonly #uniforms = new Map<string, GPUBuffer>();
  #size = 0;

  constructor(device: GPUDevice, errors: DeviceErrors) {
    this.#device = device;
    this.#errors = errors;
  }

  /** The bind group; made at the first call with these contents. */
  get(pipeline: Pipeline, buffers: readonly GpuStorage[], words = noWords): GPUBindGroup {
    let hash = pipeline.id;
    for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
    for (let i = 0; i < buffers.length; i++)
      hash = Math.imul(hash ^ buffers[i]!.id, 0x85ebca6b) ^ (hash >>> 15);
    let entries = this.#byHash.get(hash);
    if (entries) {
      for (const entry of entries)
        if (entry.pipeline === pipeline && equal(entry.buffers, buffers) && equal(entry.words, words))
          return entry.group;
    } else this.#byHash.set(hash, (entries = []));
    const group = this.#create(pipeline, buffers, words);
    if (this.#size >= largest) {
      this.clear();
      this.#byHash.set(hash, (entries = []));
    }
    entries.push({ pipeline, words: [...words], buffers: [...buffers], group });
    this.#size++;
    return group;
  }

  /** Forgets them all. */
  clear(): void {
    this.#byHash.clear();
    this.#size = 0;
  }

  #create(pipeline: Pipeline, buffers: readonly GpuStorage[], words: readonly number[]): GPUBindGroup {
    for (const index of pipeline.writes)
      for (let other = 0; other < buffers.length; other++)
        if (other !== index && buffers[other] === buffers[index])
          throw new Error(`kernel ${pipeline.name}: buffer ${other} is also the output, ${index}`);
    const entries: GPUBindGroupEntry[] = [];
    if (pipeline.hasParams) entries.push({ binding: 0, resource: { buffer: this.#uniform(words) } });
    for (const [i, buffer] of buffers.entries()) {
      if (!buffer.live) throw new Error(`kernel ${pipeline.name}: buffer ${i} was given back to the pool`);
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
  #uniform(words: readonly number[]): GPUBuffer {
    const key = words.join();
    let buffer = this.#uniforms.get(key);
    if (buffer) return buffer;
    const size = Math.max(16, Math.ceil(words.length / 4) * 16);
    buffer = this.#device.createBuffer({ size, usage: GPUBufferUsage.UNIFORM, mappedAtCreation: true });
    new Uint32Array(buffer.getMappedRange()).set(words);
    buffer.unmap();
    this.#uniforms.set(key, buffer);
    return buffer;
  }
}

function equal<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
