import type { PackedWeight } from '../kernels/matmul/packed-weight.ts';
import type { Tensor, TensorType } from './tensor.ts';

/** A tensor, which may be trained, or a constant weight in the layout that products read fastest, which only `linear` takes. */
export type Operand = Tensor | PackedWeight;

/** What an op works on. `Op<{ inputs: [x: Tensor, bias: Tensor | null]; saved: { x: Tensor } }>` names each part. */
export interface OpTypes {
  /** A tuple, with null for what may be left out; an array where there may be any number. */
  readonly inputs: readonly (Operand | null)[];
  /** What forward keeps for the gradient; null where a frozen input makes it needless. */
  readonly saved?: { readonly [name: string]: Operand | null };
  /** Numbers and choices. */
  readonly attributes?: unknown;
}

/** A value for each input. */
export type Each<Inputs extends readonly unknown[], Value> = { readonly [I in keyof Inputs]: Value };

/** What an op saves; nothing unless it says what. */
export type SavedOf<T extends OpTypes> = T extends { readonly saved: infer Saved } ? Saved : object;
/** An op's attributes; undefined unless it has any. */
export type AttributesOf<T extends OpTypes> = T extends { readonly attributes: infer A } ? A : undefined;

/** What an op's forward may ask and leave behind. */
export interface ForwardContext<T extends OpTypes = OpTypes> {
  readonly attributes: AttributesOf<T>;
  /** Whether a gradient will be asked for at all; if not, nothing need be kept. */
  readonly recording: boolean;
  /** For each input, whether its gradient will be asked for. */
  readonly needs: Each<T['inputs'], boolean>;
  /** Keeps tensors (inputs, outputs, or extra ones such as a log-sum-exp) for the gradient; ignored when not recording. */
  save(tensors: SavedOf<T>): void;
}

/** What an op's gradient gets. */
export interface BackwardContext<T extends OpTypes = OpTypes> {
  readonly attributes: AttributesOf<T>;
  /** What forward saved, by name. */
  readonly saved: SavedOf<T>;
  /** For each input, whether its gradient is wanted. */
  readonly needs: Each<T['inputs'], boolean>;
  /** Of each input; [] of one that was left out. */
  readonly shapes: Each<T['inputs'], readonly number[]>;
  /**
   * Takes what other uses have gathered of input i's gradient so far, null if nothing: the op then returns their sum
   * with its own. An op that can add it on the way spares the tape an addition.
   */
  take(i: number): Tensor | null;
  /** What the op that made input i could make of its gradient if that were put off ({@link Op.takesDeferred}); null: nothing. */
  defers(i: number): DeferredKind | null;
}

/** What may be put off: a product of matrices, or the gradient of a layer norm. */
export type DeferredKind = 'product' | 'layerNorm';

/** An op: forward and gradient side by side. */
export interface Op<T extends OpTypes> {
  /** The name of the function that users call: errors and traces give it. */
  readonly name: string;
  /** Which types each input may have, those of the last for the rest; float32 alone by default. */
  readonly types?: readonly (readonly TensorType[])[];
  /** The output; `context.save` keeps what the gradient will need. */
  forward(inputs: T['inputs'], context: ForwardContext<T>): Tensor;
  /** Of which kind the gradient of its output may be put off, to be made part of the first launch of the op's gradient. */
  takesDeferred?(attributes: AttributesOf<T>): DeferredKind | null;
  /** Gradients of the inputs from that of the output, dy in its shape; null where none is needed or defined. */
  gradient(dy: Tensor, context: BackwardContext<T>): Each<T['inputs'], Tensor | null>;
}

const float32 = [['f32']] as const;

/** A kernel reads bits: those of another type, or of another device, would be taken for numbers. */
export function checkInputs(
  name: string,
  inputs: readonly (Operand | null)[],
  types: readonly (readonly TensorType[])[] = float32,
): void {
  let gpu: Tensor['gpu'] | undefined;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (!input) continue;
    const accepted = types[i] ?? types.at(-1);
    if (!accepted?.includes(input.type))
      throw new Error(
        `${name}: input ${i} [${input.shape.join(', ')}] is ${input.type}, expected ${accepted?.join(' or ')}`,
      );
    gpu ??= input.gpu;
    if (input.gpu !== gpu)
      throw new Error(
        `${name}: inputs 0 and ${i} are on different devices (was one of them opened after the other was lost?)`,
      );
  }
}
