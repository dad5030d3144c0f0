import { packWeight } from '../../autograd/linear-weight.ts';
import type { Operand } from '../../autograd/op.ts';
import { keep } from '../../autograd/scope.ts';
import { Tensor } from '../../autograd/tensor.ts';
import { UserError } from '../../common/errors.ts';
import { commandLine } from '../../common/invocation.ts';
import { float16ToFloat32, float32ToFloat16, type StorageType } from '../../data/formats/float16.ts';
import type { Gpu } from '../../kernels/device/gpu.ts';
import type { WeightValues } from './weights.ts';

/** A model's parameters on the GPU by their canonical (OpenAI) names. */
export class Parameters {
  readonly #tensors = new Map<string, Tensor>();
  /** Frozen weights of linear layers. */
  readonly #packed = new Map<string, Exclude<Operand, Tensor>>();

  /** Takes over a tensor or packed weight under a name. */
  set(name: string, weight: Operand): void {
    const kept = keep(weight);
    if (kept instanceof Tensor) this.#tensors.set(name, kept);
    else this.#packed.set(name, kept);
  }

  /** The tensor of a name; throws if there is none. */
  get(name: string): Tensor {
    return this.#tensors.get(name) ?? missing(name);
  }

  /** The weight of a linear layer by name, packed or not; throws if there is none. */
  weight(name: string): Operand {
    return this.#packed.get(name) ?? this.get(name);
  }

  /** Whether there is a tensor or packed weight of a name. */
  has(name: string): boolean {
    return this.#tensors.has(name) || this.#packed.has(name);
  }

  /** Names and tensors, packed weights aside. */
  entries(): IterableIterator<[string, Tensor]> {
    return this.#tensors.entries();
  }

  /** Names and weights, packed ones too. */
  *weights(): IterableIterator<[string, Operand]> {
    yield* this.#tensors;
    yield* this.#packed;
  }

  /** The tensors alone. */
  tensors(): Tensor[] {
    return [...this.#tensors.values()];
  }

  /** Frees them all. */
  dispose(): void {
    for (const weights of [this.#tensors, this.#packed]) {
      for (const weight of weights.values()) weight.dispose();
      weights.clear();
    }
  }
}

function missing(name: string): never {
  throw new UserError(
    `the weights hold no tensor ${name}`,
    `Inspect the file with \`${commandLine('weights')} --info FILE\`.`,
  );
}

/** How matrices are stored on the GPU. float16 halves their memory; vectors (biases, norms) stay float32. */
export type WeightType = StorageType;

/** Reads the tensors that `wanted` accepts, one after the other, so that the host holds one at a time. */
export async function loadParameters(
  gpu: Gpu,
  weights: WeightValues,
  wanted: (name: string) => boolean,
  type: WeightType = 'float32',
): Promise<Parameters> {
  const parameters = new Parameters();
  try {
    for (const name of weights.names()) {
      if (!wanted(name)) continue;
      const shape = weights.shape(name);
      const values = await weights.read(name);
      const linear = shape.length === 2 && /resblocks\..*weight$/.test(name);
      // Besides the linear layers' weights the table of tokens takes half storage, of which rows are gathered.
      const half = type === 'float16' && (linear || name.startsWith('token_embedding'));
      const rounded = half ? float32ToFloat16(values) : values;
      // The same numbers, where the adapter's self-check found that it does not read halves right.
      const wide = rounded instanceof Uint16Array && gpu.adapter.masked?.includes('halves');
      const stored = wide ? float16ToFloat32(rounded) : rounded;
      parameters.set(
        name,
        linear
          ? packWeight(gpu, stored, shape as [number, number], name)
          : Tensor.from(gpu, stored, shape, name),
      );
    }
    // What packed weights passed through on their way.
    gpu.pool.trim();
    return parameters;
  } catch (error) {
    parameters.dispose();
    throw error;
  }
}
