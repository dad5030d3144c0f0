import type { TextureArea } from './allocation.ts';
import type { Arena, BufferPool, GpuBuffer, GpuStorage } from './buffer-pool.ts';
import type { Pipeline } from './pipelines.ts';
import type { GpuTexture } from './texture-pool.ts';
import { remembered } from './watchdog.ts';

export type Command =
  | {
      readonly kind: 'dispatch';
      readonly pipeline: Pipeline;
      readonly bindGroup: GPUBindGroup;
      readonly buffers: readonly GpuStorage[];
      readonly x: number;
      readonly y: number;
      readonly z: number;
      /** In operations, as the device estimates it. */
      readonly work: number;
    }
  | {
      readonly kind: 'copy';
      readonly from: GpuBuffer;
      readonly fromOffset: number;
      readonly to: GpuBuffer;
      readonly toOffset: number;
      readonly bytes: number;
    }
  | {
      readonly kind: 'texture';
      readonly from: GpuBuffer;
      readonly to: GpuTexture;
      readonly area: TextureArea;
    };

/** Where a recording's commands go when it is replayed: the device that recorded them. */
export interface CommandSink {
  readonly pool: BufferPool;
  announce(kernels: readonly string[], groups: number): void;
  dispatch(pipeline: Pipeline, bindGroup: GPUBindGroup, x: number, y: number, z: number, work: number): void;
  copy(from: GpuBuffer, fromOffset: number, to: GpuBuffer, toOffset: number, bytes: number): void;
  copyToTexture(from: GpuBuffer, to: GpuTexture, area: TextureArea): void;
}

/** The commands of one captured step, ready to be sent again at 2 to 3 µs of host time a dispatch. */
export class Recording {
  readonly #gpu: CommandSink;
  readonly #commands: readonly Command[];
  readonly #arena: Arena;
  /** The buffers the step uses but does not own, with the generation each had. */
  readonly #borrowed = new Map<GpuStorage, number>();
  /** For the watchdog: the last kernels, and the workgroups of all. */
  #kernels: readonly string[] = [];
  #groups = 0;
  #disposed = false;

  constructor(gpu: CommandSink, commands: readonly Command[], arena: Arena) {
    this.#gpu = gpu;
    this.#commands = commands;
    this.#arena = arena;
  }

  get dispatches(): number {
    return this.#commands.filter(({ kind }) => kind === 'dispatch').length;
  }

  /** Ends the capture: sorts the buffers used into owned and borrowed. */
  seal(): void {
    const dispatches = this.#commands.filter((command) => command.kind === 'dispatch');
    this.#kernels = dispatches.slice(-remembered).map(({ pipeline }) => pipeline.name);
    this.#groups = dispatches.reduce((sum, { x, y, z }) => sum + x * y * z, 0);
    const used = new Set<GpuStorage>();
    for (const command of this.#commands)
      for (const buffer of command.kind === 'dispatch' ? command.buffers : [command.from, command.to])
        used.add(buffer);
    for (const buffer of used)
      if (buffer.arena !== this.#arena) this.#borrowed.set(buffer, buffer.generation);
    this.#gpu.pool.endArena(this.#arena, used);
  }

  /** Encodes the step again; refuses when a buffer it borrowed has been given back since. */
  replay(): void {
    if (this.#disposed) throw new Error('this recording is disposed');
    for (const [buffer, generation] of this.#borrowed)
      if (buffer.generation !== generation || !buffer.live)
        throw new Error(
          `replay refused: buffer ${buffer.id}, which the captured step uses, has been released since`,
        );
    const gpu = this.#gpu;
    gpu.announce(this.#kernels, this.#groups);
    for (const command of this.#commands)
      if (command.kind === 'dispatch')
        gpu.dispatch(command.pipeline, command.bindGroup, command.x, command.y, command.z, command.work);
      else if (command.kind === 'texture') gpu.copyToTexture(command.from, command.to, command.area);
      else gpu.copy(command.from, command.fromOffset, command.to, command.toOffset, command.bytes);
  }

  /** Gives the step's own buffers back. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#gpu.pool.dissolve(this.#arena);
  }
}
