import { currentName } from '../autograd/names.ts';
import type { Operand } from '../autograd/op.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type Observer, observing } from '../autograd/trace.ts';
import type { GpuStorage } from '../kernels/device/buffer-pool.ts';
import type { Gpu, Launch } from '../kernels/device/gpu.ts';
import type { Kernel, Pipeline } from '../kernels/device/pipelines.ts';
import type { Tracer } from '../kernels/device/tracer.ts';
import { bindingsOf, specialize } from '../kernels/device/wgsl.ts';
import { SourceFrames, type Sources } from './source-frames.ts';
import type { CopyRecord, DispatchRecord, Lifetime, OpRecord, Phase, TensorRef, Use } from './step-data.ts';

/** A dispatch before it is timed. */
export type Launched = Omit<DispatchRecord, 'ns' | 'least' | 'most' | 'repeats'>;

type Open<T> = { -readonly [K in keyof T]: T[K] };

/** Frames of what passes calls on, and of this. */
const plumbing =
  /^src\/(?:autograd\/(?:tape|scope|deferred|names|trace)|kernels\/device\/|step\/|commands\/|cli\/)/;

/** The storage that an op's input stands in. */
export function storageOf(operand: Operand): GpuStorage {
  if (operand instanceof Tensor) return operand.place;
  const { operand: read } = operand;
  return 'texture' in read ? read.texture : read;
}

/** Writes down work as it is recorded: ops with their gradients, dispatches, copies, and how long storage lives. */
export class StepTracer implements Tracer {
  readonly ops: Open<OpRecord>[] = [];
  readonly dispatches: Launched[] = [];
  readonly copies: CopyRecord[] = [];
  readonly lifetimes: Open<Lifetime>[] = [];
  readonly shaders: { kernel: string; wgsl: string; labels: readonly string[] }[] = [];
  /** Storage that was there before, with its capacity. */
  readonly residents = new Map<number, number>();
  readonly #shaderOf = new Map<number, number>();
  readonly #allocated = new Map<number, Open<Lifetime>>();
  /** The op that made a tensor, by its id. */
  readonly #makers = new Map<number, number>();
  readonly #open: number[] = [];
  #backward = false;
  readonly source: SourceFrames;

  /** @param sources where calls are found; by default nowhere */
  constructor(sources?: Sources) {
    this.source = new SourceFrames(sources);
  }

  /** Runs `work`, a synchronous function, and writes down what it records. */
  record<T>(gpu: Gpu, work: () => T): T {
    const outer = gpu.tracer;
    gpu.tracer = this;
    try {
      return observing(this.#observe, work);
    } finally {
      gpu.tracer = outer;
    }
  }

  readonly #observe: Observer = (call, run) => {
    const number = this.ops.length;
    const gradient = call.of !== undefined;
    if (gradient) this.#backward = true;
    const of = call.of === undefined ? null : (this.#makers.get(call.of) ?? null);
    const record: Open<OpRecord> = {
      kind: gradient ? 'gradient' : 'forward',
      name: call.name,
      part: currentName(),
      // What a gradient's op read may be gone by then.
      inputs:
        of === null ? call.inputs.map((input) => input && this.#reference(input)) : this.ops[of]!.inputs,
      needs: call.needs,
      outputs: [],
      of,
      taped: !gradient && call.needs.includes(true),
      stack: this.#stack(),
    };
    this.ops.push(record);
    this.#open.push(number);
    try {
      const results = run();
      const list = results instanceof Tensor ? [results] : (results as readonly (Tensor | null)[]);
      record.outputs = list.map((output) => output && this.#reference(output));
      if (results instanceof Tensor && !gradient) this.#makers.set(results.id, number);
      return results;
    } finally {
      this.#open.pop();
    }
  };

  launch(kernel: Kernel, pipeline: Pipeline, launch: Launch): void {
    const { buffers, params = [], constants = {}, groups } = launch;
    const shader = this.#shader(kernel, pipeline, constants);
    const { labels } = this.shaders[shader]!;
    const [x, y = 1, z = 1] = groups;
    const work = pipeline.work?.(params, [x, y, z]) ?? null;
    const stack = this.#stack();
    const op = this.#open.at(-1) ?? -1;
    this.dispatches.push({
      op,
      phase: this.#phase(stack),
      part: currentName(),
      kernel: kernel.name,
      shader,
      constants: { ...constants },
      params: Object.fromEntries(pipeline.params?.fields.map(({ name }, i) => [name, params[i]!]) ?? []),
      groups: [x, y, z],
      uses: buffers.map(
        (buffer, i): Use => ({
          storage: this.#seen(buffer),
          access: pipeline.writes.includes(i) ? 'write' : 'read',
          bytes: this.#allocated.get(buffer.id)?.bytes ?? buffer.capacity,
          label: labels[i] ?? '',
        }),
      ),
      operations: work?.operations ?? null,
      bytes: work?.bytes ?? null,
      stack,
    });
  }

  copy(from: GpuStorage, to: GpuStorage, bytes: number): void {
    const op = this.#open.at(-1) ?? -1;
    this.copies.push({ at: this.dispatches.length, op, from: this.#seen(from), to: this.#seen(to), bytes });
  }

  allocate(storage: GpuStorage, bytes: number): void {
    const { id, capacity } = storage;
    const op = this.#open.at(-1) ?? -1;
    const lifetime = { storage: id, bytes, capacity, from: this.dispatches.length, to: null, op };
    this.lifetimes.push(lifetime);
    this.#allocated.set(id, lifetime);
  }

  release({ id }: GpuStorage): void {
    const lifetime = this.#allocated.get(id);
    if (lifetime) lifetime.to = this.dispatches.length;
    this.#allocated.delete(id);
  }

  #seen({ id, capacity }: GpuStorage): number {
    if (!this.#allocated.has(id)) this.residents.set(id, capacity);
    return id;
  }

  #reference(operand: Operand): TensorRef {
    const { shape, type } = operand;
    const id = operand instanceof Tensor ? operand.id : 0;
    return { id, shape: [...shape], type, storage: this.#seen(storageOf(operand)) };
  }

  #stack(): number {
    return this.source.capture((file) => plumbing.test(file));
  }

  #phase(stack: number): Phase {
    const op = this.ops[this.#open[0] ?? -1];
    if (op) return op.kind === 'gradient' ? 'backward' : 'forward';
    // Outside of ops the tape's own (the first gradient, sums of gradients), called by the loop; then the optimizer's.
    const frames = this.source.stacks[stack]!.map((frame) => this.source.frames[frame]!);
    const callers = frames.filter(({ file }) => !file.startsWith('src/kernels/')).map(({ fn }) => fn);
    if (callers.at(-1)?.endsWith('#gradients')) return 'backward';
    return this.#backward ? 'update' : 'forward';
  }

  #shader(kernel: Kernel, pipeline: Pipeline, constants: NonNullable<Launch['constants']>): number {
    let number = this.#shaderOf.get(pipeline.id);
    if (number === undefined) {
      const wgsl = specialize(kernel.source, constants);
      const names = new Map(
        [...wgsl.matchAll(/@binding\((\d+)\)\s*var(?:<[^>]*>)?\s*(\w+)\s*:/g)].map(([, at, name]) => [
          Number(at),
          name!,
        ]),
      );
      const labels = bindingsOf(wgsl)
        .filter(({ type }) => type !== 'uniform')
        .map(({ binding }) => names.get(binding) ?? '');
      number = this.shaders.push({ kernel: kernel.name, wgsl, labels }) - 1;
      this.#shaderOf.set(pipeline.id, number);
    }
    return number;
  }
}
