import { UserError } from '../common/errors.ts';
import { adamw, adamwAdvance, sgd } from '../kernels/optim.ts';
import { allOrNone, keep } from './scope.ts';
import { Tensor } from './tensor.ts';

/** Overwrites an optimiser's state with values saved of one of the same parameters. */
function load(state: ReadonlyMap<string, Tensor>, values: ReadonlyMap<string, Float32Array>): void {
  for (const [name, { size }] of state)
    if (values.get(name)?.length !== size)
      throw new UserError(
        `the optimizer's ${name} ${values.has(name) ? `holds ${values.get(name)!.length} numbers` : 'is missing'}, expected ${size}`,
        'The state belongs to another optimizer or to other parameters.',
      );
  for (const [name, tensor] of state) tensor.write(values.get(name)!);
}

function checkOptimizer(parameters: readonly Tensor[], lr: number): void {
  if (parameters.length === 0) throw new Error('an optimizer needs parameters');
  if (typeof lr !== 'number') throw new Error(`the learning rate must be a number, not ${lr}`);
}

/** As torch.optim.SGD names and defines them; momentum and weight decay are 0 by default. */
export interface SgdOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

/** SGD with momentum and weight decay, as torch.optim.SGD defines it (no dampening). */
export class Sgd {
  readonly #parameters: readonly Tensor[];
  readonly #velocities: readonly Tensor[];
  readonly #settings: Tensor;
  readonly #momentum: number;
  readonly #weightDecay: number;
  readonly #nesterov: boolean;

  /** State is allocated here, so that a step allocates nothing. */
  constructor(parameters: readonly Tensor[], options: SgdOptions) {
    const { lr, momentum = 0, weightDecay = 0, nesterov = false } = options;
    checkOptimizer(parameters, lr);
    if (nesterov && momentum <= 0) throw new Error('Nesterov momentum needs a momentum above 0');
    this.#parameters = parameters;
    const [zeros, settings] = allOrNone(
      () =>
        [
          parameters.map(({ gpu, shape }) => keep(Tensor.zeros(gpu, shape))),
          keep(Tensor.from(parameters[0]!.gpu, [lr])),
        ] as const,
    );
    this.#velocities = zeros;
    this.#settings = settings;
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
    for (const [i, parameter] of this.#parameters.entries()) {
      const gradient = gradients.get(parameter);
      if (!gradient) continue;
      sgd(parameter.gpu, {
        parameter: parameter.buffer,
        gradient: gradient.buffer,
        velocity: this.#velocities[i]!.buffer,
        settings: this.#settings.buffer,
        size: parameter.size,
        momentum: this.#momentum,
        weightDecay: this.#weightDecay,
        nesterov: this.#nesterov,
      });
    }
  }

  /** The momentum buffers, by the parameters' order. */
  state(): Map<string, Tensor> {
    return new Map(this.#velocities.map((velocity, i) => [`velocity.${i}`, velocity]));
  }

  /** Takes over what state() held, as read back, when these parameters were trained before. */
  load(values: ReadonlyMap<string, Float32Array>): void {
    load(this.state(), values);
  }

  /** Frees the state. */
  dispose(): void {
    for (const tensor of [...this.#velocities, this.#settings]) tensor.dispose();
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
  readonly #parameters: readonly Tensor[];
  readonly #first: readonly Tensor[];
  readonly #second: readonly Tensor[];
  readonly #settings: Tensor;
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #weightDecay: number;

  /** State is allocated here, so that a step allocates nothing. */
  constructor(parameters: readonly Tensor[], options: AdamWOptions) {
    const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    checkOptimizer(parameters, options.lr);
    const zeros = () => parameters.map(({ gpu, shape }) => keep(Tensor.zeros(gpu, shape)));
    this.#parameters = parameters;
    const [first, second, settings] = allOrNone(
      () => [zeros(), zeros(), keep(Tensor.from(parameters[0]!.gpu, [options.lr, 0, 0]))] as const,
    );
    this.#first = first;
    this.#second = second;
    this.#settings = settings;
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
    for (const [i, parameter] of this.#parameters.entries()) {
      const gradient = gradients.get(parameter);
      if (!gradient) continue;
      adamw(parameter.gpu, {
        parameter: parameter.buffer,
        gradient: gradient.buffer,
        first: this.#first[i]!.buffer,
        second: this.#second[i]!.buffer,
        settings: this.#settings.buffer,
        size: parameter.size,
        betas: this.#betas,
        eps: this.#eps,
        weightDecay: this.#weightDecay,
      });
    }
  }

  /** The two moments, by the parameters' order; and the learning rate with the bias corrections of the last step. */
  state(): Map<string, Tensor> {
    return new Map([
      ...this.#first.map((tensor, i) => [`first.${i}`, tensor] as const),
      ...this.#second.map((tensor, i) => [`second.${i}`, tensor] as const),
      ['settings', this.#settings],
    ]);
  }

  /** Takes over what state() held, as read back, when these parameters were trained before. */
  load(values: ReadonlyMap<string, Float32Array>): void {
    load(this.state(), values);
  }

  /** Frees the state. */
  dispose(): void {
    for (const tensor of [...this.#first, ...this.#second, this.#settings]) tensor.dispose();
  }
}
