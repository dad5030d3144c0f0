import { type GpuBuffer, type GpuTexture, type TextureArea, texelBytes } from './allocation.ts';
import type { Pipeline } from './pipelines.ts';
import type { Profiler } from './profiler.ts';

/** Commands gathered for one submission: dispatches share a compute pass as long as no copy comes between. */
export class Encoder {
  readonly #device: GPUDevice;
  readonly #submit: () => void;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: Pipeline | undefined; // set in the open pass
  /** While it is set, every dispatch is timed. */
  profiler: Profiler | undefined;

  /** @param submit sends what is gathered: called when the profiler can time no more */
  constructor(device: GPUDevice, submit: () => void) {
    this.#device = device;
    this.#submit = submit;
  }

  dispatch(pipeline: Pipeline, bindGroup: GPUBindGroup, x: number, y: number, z: number): void {
    if (this.profiler) {
      this.#dispatchTimed(this.profiler, pipeline, bindGroup, [x, y, z]);
      return;
    }
    // What is set already is not set again: each call crosses into native code.
    if (!this.#pass) {
      this.#pass = this.#commands().beginComputePass();
      this.#pipeline = undefined;
    }
    const pass = this.#pass;
    if (pipeline !== this.#pipeline) {
      pass.setPipeline(pipeline.raw);
      this.#pipeline = pipeline;
    }
    pass.setBindGroup(0, bindGroup);
    if (z > 1) pass.dispatchWorkgroups(x, y, z);
    else if (y > 1) pass.dispatchWorkgroups(x, y);
    else pass.dispatchWorkgroups(x);
  }

  #dispatchTimed(
    profiler: Profiler,
    pipeline: Pipeline,
    bindGroup: GPUBindGroup,
    groups: readonly [number, number, number],
  ): void {
    this.#endPass();
    if (profiler.full) this.#submit();
    const { timestampWrites, repeats } = profiler.next(pipeline.name);
    const pass = this.#commands().beginComputePass({ timestampWrites });
    pass.setPipeline(pipeline.raw);
    pass.setBindGroup(0, bindGroup);
    for (let i = 0; i < repeats; i++) pass.dispatchWorkgroups(...groups);
    pass.end();
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#endPass();
    this.#commands().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  copyToTexture(from: GpuBuffer, to: GpuTexture, { width, height, skippedRows }: TextureArea): void {
    const bytesPerRow = width * texelBytes[to.format];
    this.#endPass();
    this.#commands().copyBufferToTexture(
      { buffer: from.raw, bytesPerRow, offset: skippedRows * bytesPerRow },
      { texture: to.raw },
      { width, height },
    );
  }

  /** Takes what is gathered, for submission; `collect` is to be called after that. Undefined if there is nothing. */
  take(): { readonly encoder: GPUCommandEncoder; readonly collect: (() => void) | undefined } | undefined {
    this.#endPass();
    const encoder = this.#encoder;
    if (!encoder) return undefined;
    const collect = this.profiler?.resolve(encoder);
    this.#encoder = undefined;
    return { encoder, collect };
  }

  #commands(): GPUCommandEncoder {
    return (this.#encoder ??= this.#device.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }
}
