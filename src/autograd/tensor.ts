import { elementCount } from '../common/shape.ts';
import type { GpuBuffer } from '../kernels/device/buffer-pool.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { named } from '../kernels/device/memory.ts';
import { type Pending, Storage } from '../kernels/device/storage.ts';
import { computeDeferred, type Deferred, putOff } from './deferred.ts';
import { track, untrack } from './scope.ts';

/** 'f16' halves are storage only: every kernel accumulates in float32. */
export type TensorType = 'f32' | 'f16' | 'u32';

let nextId = 1;

/**
 * A dense row-major array on the GPU. Tensors made inside a {@link scope} are freed at its end, unless they are its
 * result or kept; a tensor made outside lives until dispose().
 */
export class Tensor {
  readonly id = nextId++;
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Number of elements. */
  readonly size: number;
  readonly #storage: Storage<GpuBuffer>;
  #disposed = false;

  private constructor(storage: Storage<GpuBuffer>, shape: readonly number[], type: TensorType) {
    this.#storage = storage;
    this.shape = shape;
    this.type = type;
    this.size = elementCount(shape);
    track(this);
  }

  /** A tensor with undefined contents. Should there be no room for it, the error gives its name. */
  static empty(gpu: Gpu, shape: readonly number[], type: TensorType = 'f32', name = ''): Tensor {
    const count = elementCount(shape);
    if (!Number.isInteger(count) || count < 0) throw new Error(`[${shape.join(', ')}] is not a shape`);
    try {
      return new Tensor(new Storage(gpu, gpu.pool.allocate(byteLength(count, type))), shape, type);
    } catch (error) {
      throw named(error, purposeOf(shape, name));
    }
  }

  /**
   * A tensor with these values; Float32Array gives f32, Uint32Array u32, Uint16Array the bits of f16; plain numbers and
   * Float64Array are rounded to f32.
   */
  static from(gpu: Gpu, values: TensorValues, given?: readonly number[], name = ''): Tensor {
    const data = typedValues(values);
    const shape = given ?? [data.length];
    if (data.length !== elementCount(shape))
      throw new Error(`${data.length} values do not fill the shape [${shape.join(', ')}]`);
    const tensor = Tensor.empty(gpu, shape, typeOf(data), name);
    try {
      tensor.write(data);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /** A float32 tensor of zeros. */
  static zeros(gpu: Gpu, shape: readonly number[]): Tensor {
    return Tensor.from(gpu, new Float32Array(elementCount(shape)), shape);
  }

  /** A tensor that `pending` fills when somebody reads it; on a tape only. */
  static deferred(gpu: Gpu, shape: readonly number[], pending: Deferred): Tensor {
    let tensor: Tensor;
    try {
      tensor = Tensor.empty(gpu, shape);
    } catch (error) {
      pending.drop(); // no scope frees what it holds
      throw error;
    }
    putOff(tensor.#storage, pending);
    return tensor;
  }

  get gpu(): Gpu {
    return this.#storage.gpu;
  }

  /** The buffer to bind; throws once the tensor is disposed of. */
  get buffer(): GpuBuffer {
    const storage = this.#alive();
    storage.settle();
    return storage.allocation;
  }

  /** What fills it when somebody reads it; null once something has. */
  get pending(): Pending | null {
    return this.#alive().pending;
  }

  /** Has `launch` fill the buffer that it is handed, in place of what was put off. */
  settle(launch: (out: GpuBuffer) => void): void {
    const storage = this.#alive();
    storage.settle(() => launch(storage.allocation));
  }

  /** The buffer, which need not hold anything yet: to tell what stands where. */
  get place(): GpuBuffer {
    return this.#alive().allocation;
  }

  #alive(): Storage<GpuBuffer> {
    if (this.#disposed) throw new Error(`tensor ${this.id} [${this.shape.join(', ')}] is disposed`);
    return this.#storage;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Size along `axis`; negative axes count from the end. */
  dim(axis: number): number {
    const size = this.shape[axis < 0 ? this.shape.length + axis : axis];
    if (size === undefined)
      throw new Error(`tensor ${this.id} [${this.shape.join(', ')}] has no axis ${axis}`);
    return size;
  }

  /** Another tensor over the same storage; shapes must hold equally many elements. */
  view(shape: readonly number[] = this.shape): Tensor {
    if (elementCount(shape) !== this.size)
      throw new Error(`[${this.shape.join(', ')}] cannot be viewed as [${shape.join(', ')}]`);
    return new Tensor(this.#alive().retain(), shape, this.type);
  }

  /** Overwrites the contents from the host. */
  write(values: Float32Array | Uint32Array | Uint16Array): void {
    if (values.length !== this.size) throw new Error(`${values.length} values for a tensor of ${this.size}`);
    computeDeferred(); // of what is overwritten
    if (typeOf(values) !== this.type)
      throw new Error(
        `a ${values.constructor.name} is ${typeOf(values)}, and tensor ${this.id} is ${this.type}`,
      );
    if (values instanceof Uint16Array && values.length % 2 === 1) {
      const padded = new Uint16Array(values.length + 1);
      padded.set(values);
      this.gpu.write(this.buffer, padded);
    } else this.gpu.write(this.buffer, values);
  }

  /** The values on the host: float32 (f32), or the raw words (u32) and half bits (f16) through readRaw. */
  async read(): Promise<Float32Array> {
    if (this.type !== 'f32') throw new Error(`read() takes f32 tensors; this one is ${this.type}`);
    return new Float32Array(await this.readRaw());
  }

  /** The bytes on the host: 4 an element, 2 of f16. */
  readRaw(): Promise<ArrayBuffer> {
    return this.gpu.read(this.buffer, this.size * (this.type === 'f16' ? 2 : 4));
  }

  /** Frees this handle; the storage goes when its last handle does. Twice is harmless. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    untrack(this);
    this.#storage.release();
  }
}

function purposeOf(shape: readonly number[], name: string): string {
  return `${name === '' ? 'a tensor' : `tensor ${name}`} [${shape.join(', ')}]`;
}

/** What {@link Tensor.from} takes. */
export type TensorValues = Float32Array | Uint32Array | Uint16Array | Float64Array | readonly number[];

function typedValues(values: TensorValues): Float32Array | Uint32Array | Uint16Array {
  if (values instanceof Float32Array || values instanceof Uint32Array || values instanceof Uint16Array)
    return values;
  if (values instanceof Float64Array) return Float32Array.from(values);
  if (Array.isArray(values) && values.every((value) => typeof value === 'number'))
    return Float32Array.from(values);
  const given = Array.isArray(values)
    ? 'an array of non-numbers'
    : ((values as object | null)?.constructor?.name ?? typeof values);
  throw new Error(
    `tensors are made of a Float32Array, Float64Array or numbers (f32), a Uint32Array (u32) or a Uint16Array (the bits of f16), not of ${given}`,
  );
}

function typeOf(values: Float32Array | Uint32Array | Uint16Array): TensorType {
  return values instanceof Uint32Array ? 'u32' : values instanceof Uint16Array ? 'f16' : 'f32';
}

function byteLength(count: number, type: TensorType): number {
  return type === 'f16' ? Math.ceil(count / 2) * 4 : count * 4;
}
