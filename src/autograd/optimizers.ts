import { UserError } from '../common/errors.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { adamw, adamwAdvance, sgd } from '../kernels/optimizers.ts';
import { allOrNone, keep } from './scope.ts';
import { Tensor } from './tensor.ts';

/** Overwrites an optimizer's state with values saved of one of the same parameters. */
function load(state: ReadonlyMap<string, Tensor>, values: ReadonlyMap<string, Float32Array>): void {
  const writes = [...state].map(([name, tensor]) => {
    const saved = values.get(name);
    if (saved?.length !== tensor.size)
      throw new UserError(
        `the optimizer's ${name} ${saved ? `holds ${saved.length} numbers` : 'is missing'}, expected ${tensor.size}`,
        'The state belongs to another optimizer or to other parameters.',
      );
    return () => tensor.write(saved);
  });
  for (const write of writes) write();
}

/** The device of the parameters. */
function checkOptimizer(parameters: readonly Tensor[], lr: number): Gpu {
  const [first] = parameters;
  if (!first) throw new Error('an optimizer needs parameters');
  if (typeof lr !== 'number') throw new Error(`the learning rate must be a number, not ${lr}`);
  return first.gpu;
}

/** Zeros for a parameter's state, kept as long as the optimizer. */
const zerosLike = ({ gpu, shape }: Tensor) => keep(Tensor.zeros(gpu, shape));

/** As torch.optim.SGD names and defines them; momentum and weight decay are 0 by default. */
export interface SgdOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

/** SGD with momentum and weight decay, as torch.optim.SGD defines it (no dampening). */
export class Sgd {
  readonly #states: readonly { readonly parameter: Tensor; readonly velocity: Tensor }[];
  readonly #settings: Tensor;
  readonly #momentum: number;
  readonly #weightDecay: number;
  readonly #nesterov: boolean;

  /** State is allocated here, so that a step allocates nothing. */
  constructor(parameters: readonly Tensor[], options: SgdOptions) {
    const { lr, momentum = 0, weightDecay = 0, nesterov = false } = options;
    const gpu = checkOptimizer(parameters, lr);
    if (nesterov && momentum <= 0) throw new Error('Nesterov momentum needs a momentum above 0');
    [this.#states, this.#settings] = allOrNone(() => [
      parameters.map((parameter) => ({ parameter, velocity: zerosLike(parameter) })),
      keep(Tensor.from(gpu, [lr])),
    ]);
    this.#momentum = momentum;
    this.#weightDecay = weightDecay;
    this.#nesterov = nesterov;
  }

  /** From the next step on, a replayed one too. */
  setLearningRate(lr: number): void {
    this.#settings.write(Float32Array.of(lr));
  }

  /** Updates the parameters in place; one that has no gradient stays as it is. */
  step(gradients: ReadonlyMap<Tensor, Tensor>): void {
    const tensors = this.#states.flatMap(({ parameter, velocity }) => {
      const gradient = gradients.get(parameter);
      if (!gradient) return [];
      const { buffer, size } = parameter;
      return [{ parameter: buffer, gradient: gradient.buffer, velocity: velocity.buffer, size }];
    });
    sgd(this.#settings.gpu, {
      tensors,
      settings: this.#settings.buffer,
      momentum: this.#momentum,
      weightDecay: this.#weightDecay,
      nesterov: this.#nesterov,
    });
  }

  /** The momentum buffers, by the parameters' order. */
  state(): Map<string, Tensor> {
    return new Map(this.#states.map(({ velocity }, i) => [`velocity.${i}`, velocity]));
  }

  /** Takes over what state() held, as read back, when these parameters were trained before. */
  load(values: ReadonlyMap<string, Float32Array>): void {
    load(this.state(), values);
  }

  /** Frees the state. */
  dispose(): void {
    for (const { velocity } of this.#states) velocity.dispose();
    this.#settings.dispose();
  }
}

/** As torch.optim.AdamW names and defines them, with its defaults. */
export interface AdamWOptions {
  readonly lr: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly weightDecay?: number;
}

/**
 * AdamW with decoupled weight decay, as torch.optim.AdamW defines it, but that one count of steps serves all parameters,
 * also one that had no gradient in some. The count lives on the GPU: a replayed step advances it.
 */
export class AdamW {
  readonly #states: readonly {
    readonly parameter: Tensor;
    readonly first: Tensor;
    readonly second: Tensor;
  }[];
  readonly #settings: Tensor;
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #weightDecay: number;

  /** State is allocated here, so that a step allocates nothing. */
  constructor(parameters: readonly Tensor[], options: AdamWOptions) {
    const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    const gpu = checkOptimizer(parameters, options.lr);
    [this.#states, this.#settings] = allOrNone(() => [
      parameters.map((parameter) => ({
        parameter,
        first: zerosLike(parameter),
        second: zerosLike(parameter),
      })),
      keep(Tensor.from(gpu, [options.lr, 0, 0])),
    ]);
    this.#betas = betas;
    this.#eps = eps;
    this.#weightDecay = weightDecay;
  }

  /** From the next step on, a replayed one too. */
  setLearningRate(lr: number): void {
    const { gpu, buffer } = this.#settings;
    gpu.write(buffer, Float32Array.of(lr));
  }

  /** Makes the next step, a replayed one too, number `step` (from 1), with this rate; a step counts itself otherwise. */
  prepare(step: number, lr: number): void {
    const [beta1, beta2] = this.#betas;
    this.#settings.write(Float32Array.of(lr, 1 - beta1 ** (step - 1), 1 - beta2 ** (step - 1)));
  }

  /** Updates the parameters in place; one that has no gradient stays as it is. */
  step(gradients: ReadonlyMap<Tensor, Tensor>): void {
    adamwAdvance(this.#settings.gpu, this.#settings.buffer, this.#betas);
    const tensors = this.#states.flatMap(({ parameter, first, second }) => {
      const gradient = gradients.get(parameter);
      if (!gradient) return [];
      const { buffer, size } = parameter;
      return [
        {
          parameter: buffer,
          gradient: gradient.buffer,
          first: first.buffer,
          second: second.buffer,
          size,
        },
      ];
    });
    adamw(this.#settings.gpu, {
      tensors,
      settings: this.#settings.buffer,
      betas: this.#betas,
      eps: this.#eps,
      weightDecay: this.#weightDecay,
    });
  }

  /** The two moments, by the parameters' order; and the learning rate with the bias corrections of the last step. */
  state(): Map<string, Tensor> {
    return new Map([
      ...this.#states.map(({ first }, i) => [`first.${i}`, first] as const),
      ...this.#states.map(({ second }, i) => [`second.${i}`, second] as const),
      ['settings', this.#settings],
    ]);
  }

  /** Takes over what state() held, as read back, when these parameters were trained before. */
  load(values: ReadonlyMap<string, Float32Array>): void {
    load(this.state(), values);
  }

  /** Frees the state. */
  dispose(): void {
    for (const { first, second } of this.#states) for (const tensor of [first, second]) tensor.dispose();
    this.#settings.dispose();
  }
}
