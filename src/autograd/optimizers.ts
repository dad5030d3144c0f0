import { sgd } from '../kernels/optim.ts';
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

  /** Parameters without elements are refused by construction; state is allocated here, so that a step allocates nothing. */
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
