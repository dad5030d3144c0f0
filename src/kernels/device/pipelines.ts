import type { DeviceErrors } from './errors.ts';
import { type ParamLayout, paramsOf } from './params.ts';
import { type SubgroupSizes, withSubgroupSize } from './subgroup-size.ts';
import { type BindingDeclaration, bindingsOf, type Constants, specialize } from './wgsl.ts';
import { type WorkOf, workOf } from './work.ts';

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
  /** The uniform block at binding 0, if there is one. */
  readonly params: ParamLayout | null;
  /** Binding numbers of the storage buffers, in order. */
  readonly storage: readonly number[];
  /** Indices, among the storage buffers, of those it writes. */
  readonly writes: readonly number[];
  /** What a dispatch does at least; null where the shader does not say. */
  readonly work: WorkOf | null;
}

interface Variant {
  readonly constants: Constants;
  readonly pipeline: Pipeline;
}

/** Compiles kernels once for each set of constants; compile errors carry the WGSL lines they point at. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<Kernel, Variant[]>();
  readonly #errors: DeviceErrors;
  readonly #subgroups: SubgroupSizes | undefined;
  #nextId = 1;
  /** While it is set, called with every kernel before the driver compiles it, and with its constants and its WGSL. */
  onCompile: ((kernel: Kernel, constants: Constants, code: string) => void) | undefined;

  /** @param subgroups the sizes that a shader can ask for, if it can */
  constructor(device: GPUDevice, errors: DeviceErrors, subgroups?: SubgroupSizes) {
    this.#device = device;
    this.#errors = errors;
    this.#subgroups = subgroups;
  }

  /** The compiled pipeline of a kernel and its override constants; compiled at the first call. */
  get(kernel: Kernel, constants?: Constants): Pipeline {
    let variants = this.#compiled.get(kernel);
    if (!variants) this.#compiled.set(kernel, (variants = []));
    // Compared one by one: a kernel has few variants, and this is asked for at every dispatch.
    for (const variant of variants) if (same(variant.constants, constants)) return variant.pipeline;
    const kept = variants;
    const forget = () => kept.splice(kept.indexOf(variant), 1);
    // What does not compile is not kept as if it did.
    const variant = {
      constants: { ...constants },
      pipeline: this.#compile(kernel, constants, () => forget()),
    };
    variants.push(variant);
    return variant.pipeline;
  }

  #compile(kernel: Kernel, constants: Constants | undefined, failed: () => void): Pipeline {
    const { name } = kernel;
    let code: string;
    let params: ParamLayout | null;
    let work: WorkOf | null;
    try {
      code = withSubgroupSize(specialize(kernel.source, constants), this.#subgroups);
      params = paramsOf(code);
      work = workOf(code, params);
    } catch (error) {
      throw new Error(`kernel ${name}: ${(error as Error).message}`, { cause: error });
    }
    const bindings = bindingsOf(code);
    const device = this.#device;
    this.onCompile?.(kernel, constants ?? none, code);
    const { raw, layout } = this.#errors.attempt(
      () => {
        const module = device.createShaderModule({ label: name, code });
        const layout = device.createBindGroupLayout({
          label: name,
          entries: bindings.map((declared) => ({
            binding: declared.binding,
            visibility: GPUShaderStage.COMPUTE,
            ...entryOf(declared),
          })),
        });
        const raw = device.createComputePipeline({
          label: name,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module },
        });
        return { raw, layout };
      },
      ({ message }) => compileError(name, code, message),
      failed,
    );
    const storage = bindings.filter(({ type }) => type !== 'uniform');
    return {
      id: this.#nextId++,
      name: kernel.name,
      raw,
      layout,
      params,
      storage: storage.map(({ binding }) => binding),
      writes: storage.flatMap(({ type }, i) => (type === 'storage' || type === 'write-texture' ? [i] : [])),
      work,
    };
  }
}

/** With the WGSL lines that the compiler points at. */
function compileError(name: string, code: string, message: string): Error {
  const lines = code.split('\n');
  const shown = [...message.matchAll(/:(\d+):(\d+) error: (.*)/g)].map(([, line, column, what]) => {
    const text = `${line!.padStart(5)} | ${lines[Number(line) - 1] ?? ''}`;
    return `${what}\n${text}\n      | ${' '.repeat(Math.max(0, Number(column) - 1))}^`;
  });
  if (shown.length === 0) return new Error(`kernel ${name}: ${message}`);
  return new Error(`kernel ${name} does not compile:\n${shown.join('\n')}`);
}

function entryOf({ type, format }: BindingDeclaration): Partial<GPUBindGroupLayoutEntry> {
  if (type !== 'read-texture' && type !== 'write-texture') return { buffer: { type } };
  return {
    storageTexture: { access: type === 'read-texture' ? 'read-only' : 'write-only', format: format! },
  };
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
