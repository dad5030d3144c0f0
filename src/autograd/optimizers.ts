import { adamw, sgd } from '../kernels/optim.ts';
import { keep } from './scope.ts';
import { Tensor } from './tensor.ts';

export interface SgdOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
}

/** SGD with momentum and weight decay, as torch.optim.SGD defines it (no dampening, no Nesterov). */
export class Sgd {
  readonly #parameters: readonly Tensor[];
  readonly #velocities: readonly Tensor[];
  readonly #settings: Tensor;
  readonly #momentum: number;
  readonly #weightDecay: number;

  /** State is allocated here, so that a step allocates nothing. */
  constructor(parameters: readonly Tensor[], { lr, momentum = 0, weightDecay = 0 }: SgdOptions) {
    this.#parameters = parameters;
    this.#velocities = parameters.map(({ gpu, shape }) => keep(Tensor.zeros(gpu, shape)));
    this.#settings = keep(Tensor.from(parameters[0]!.gpu, [lr]));
    this.#momentum = momentum;
    this.#weightDecay = weightDecay;
  }

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
      });
    }
  }

  /** The momentum buffers, by the parameters' order. */
  state(): Map<string, Tensor> {
    return new Map(this.#velocities.map((velocity, i) => [`velocity.${i}`, velocity]));
  }

  dispose(): void {
    for (const tensor of [...this.#velocities, this.#settings]) tensor.dispose();
  }
}

export interface AdamWOptions {
  readonly lr: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly weightDecay?: number;
}

/** AdamW with decoupled weight decay, as torch.optim.AdamW defines it. */
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
    const zeros = () => parameters.map(({ gpu, shape }) => keep(Tensor.zeros(gpu, shape)));
    this.#parameters = parameters;
    this.#first = zeros();
    this.#second = zeros();
    this.#settings = keep(Tensor.from(parameters[0]!.gpu, [options.lr, 1, 1]));
    this.#betas = betas;
    this.#eps = eps;
    this.#weightDecay = weightDecay;
  }

  /** Before each step, a replayed one too: its number (from 1) and its rate are data. */
  prepare(step: number, lr: number): void {
    const [beta1, beta2] = this.#betas;
    this.#settings.write(Float32Array.of(lr, 1 - beta1 ** step, 1 - beta2 ** step));
  }

  /** Updates the parameters in place; one that has no gradient stays as it is. */
  step(gradients: ReadonlyMap<Tensor, Tensor>): void {
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

  /** The two moments, by the parameters' order. */
  state(): Map<string, Tensor> {
    return new Map([
      ...this.#first.map((tensor, i) => [`first.${i}`, tensor] as const),
      ...this.#second.map((tensor, i) => [`second.${i}`, tensor] as const),
    ]);
  }

  dispose(): void {
    for (const tensor of [...this.#first, ...this.#second, this.#settings]) tensor.dispose();
  }
}
