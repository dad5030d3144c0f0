import { type BindingDeclaration, bindingsOf, type Constants, specialize } from './wgsl.ts';

/** A kernel as its author declares it: a name for profiles and errors, and its WGSL. */
export interface Kernel {
  readonly name: string;
  readonly source: string;
}

/** A kernel compiled for one set of constants. */
export interface Pipeline {
  readonly id: number;
  readonly name: string;
  readonly raw: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Whether binding 0 is the uniform parameter block. */
  readonly hasParams: boolean;
  /** Binding numbers of the storage buffers, in order. */
  readonly storage: readonly number[];
  /** Indices, among the storage buffers, of those it writes. */
  readonly writes: readonly number[];
}

interface Variant {
  readonly constants: Constants;
  readonly pipeline: Pipeline;
}

/** Compiles kernels once for each set of constants; compile errors carry the WGSL lines they point at. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<Kernel, Variant[]>();
  readonly #checks: Promise<void>[] = [];
  readonly #fail: (error: Error) => void;
  #nextId = 1;

  constructor(device: GPUDevice, fail: (error: Error) => void) {
    this.#device = device;
    this.#fail = fail;
  }

  /** The compiled pipeline of a kernel and its override constants; compiled at the first call. */
  get(kernel: Kernel, constants?: Constants): Pipeline {
    let variants = this.#compiled.get(kernel);
    if (!variants) this.#compiled.set(kernel, (variants = []));
    // Compared one by one: a kernel has few variants, and this is asked for at every dispatch.
    for (const variant of variants) if (same(variant.constants, constants)) return variant.pipeline;
    const pipeline = this.#compile(kernel, constants);
    variants.push({ constants: { ...constants }, pipeline });
    return pipeline;
  }

  /** Resolves when every compilation started so far has been checked. */
  async checked(): Promise<void> {
    await Promise.all(this.#checks.splice(0));
  }

  #compile(kernel: Kernel, constants?: Constants): Pipeline {
    let code: string;
    try {
      code = specialize(kernel.source, constants);
    } catch (error) {
      throw new Error(`kernel ${kernel.name}: ${(error as Error).message}`, { cause: error });
    }
    const bindings = bindingsOf(code);
    // In a scope of its own, so that an error is told with the WGSL line before everything that follows from it.
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label: kernel.name, code });
    const layout = this.#device.createBindGroupLayout({
      label: kernel.name,
      entries: bindings.map((declared) => ({
        binding: declared.binding,
        visibility: GPUShaderStage.COMPUTE,
        ...entryOf(declared),
      })),
    });
    const raw = this.#device.createComputePipeline({
      label: kernel.name,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module },
    });
    this.#checks.push(this.#check(kernel.name, code, module, this.#device.popErrorScope()));
    const storage = bindings.filter(({ type }) => type !== 'uniform');
    return {
      id: this.#nextId++,
      name: kernel.name,
      raw,
      layout,
      hasParams: storage.length < bindings.length,
      storage: storage.map(({ binding }) => binding),
      writes: storage.flatMap(({ type }, i) => (type === 'storage' || type === 'write-texels' ? [i] : [])),
    };
  }

  async #check(
    name: string,
    code: string,
    module: GPUShaderModule,
    validation: Promise<GPUError | null>,
  ): Promise<void> {
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter((message) => message.type === 'error');
    const other = await validation;
    if (errors.length === 0) {
      if (other) this.#fail(new Error(`kernel ${name}: ${other.message}`));
      return;
    }
    const lines = code.split('\n');
    const shown = errors.map(({ lineNum, linePos, message }) => {
      const number = String(lineNum).padStart(5);
      return `${message}\n${number} | ${lines[lineNum - 1] ?? ''}\n      | ${' '.repeat(Math.max(0, linePos - 1))}^`;
    });
    this.#fail(new Error(`kernel ${name} does not compile:\n${shown.join('\n')}`));
  }
}

function entryOf({ type, format }: BindingDeclaration): Partial<GPUBindGroupLayoutEntry> {
  if (type !== 'read-texels' && type !== 'write-texels') return { buffer: { type } };
  return { storageTexture: { access: type === 'read-texels' ? 'read-only' : 'write-only', format: format! } };
}

function same(a: Constants, b: Constants = none): boolean {
  let count = 0;
  for (const name in b) {
    if (a[name] !== b[name]) return false;
    count++;
  }
  for (const _ in a) count--;
  return count === 0;
}
const none: Constants = {};
