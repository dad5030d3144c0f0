import type { GpuBuffer } from '../kernels/device/buffer-pool.ts';
import type { NormOfA } from '../kernels/matmul/index.ts';
import { layerNormBackward, layerNorm as layerNormForward } from '../kernels/rows/layernorm.ts';
import { Deferred } from './deferred.ts';
import type { Tensor } from './tensor.ts';

/** A layer norm that is put off: a product of few rows takes it on its way (src/kernels/matmul/few.ts). */
export class DeferredNorm extends Deferred {
  readonly #x: Tensor;
  readonly #gamma: Tensor;
  readonly #beta: Tensor;
  readonly #stats: Tensor;
  readonly #eps: number;

  constructor(x: Tensor, gamma: Tensor, beta: Tensor, stats: Tensor, eps: number) {
    const held = [x.view(), gamma.view(), beta.view(), stats.view()] as const;
    super(...held);
    [this.#x, this.#gamma, this.#beta, this.#stats] = held;
    this.#eps = eps;
  }

  compute(y: GpuBuffer): void {
    const { buffer, size, gpu } = this.#x;
    const width = this.#gamma.size;
    layerNormForward(gpu, {
      x: buffer,
      affine: { gamma: this.#gamma.buffer, beta: this.#beta.buffer },
      y,
      stats: this.#stats.buffer,
      rows: size / width,
      width,
      eps: this.#eps,
    });
  }

  /** The rows, and what a product makes of them. */
  get onTheWay(): { a: GpuBuffer; norm: NormOfA } {
    const [gamma, beta, stats] = [this.#gamma.buffer, this.#beta.buffer, this.#stats.buffer];
    return { a: this.#x.buffer, norm: { of: 'rows', gamma, beta, eps: this.#eps, stats } };
  }
}

/** The gradient of a layer norm by its input, put off likewise. */
export class DeferredNormGradient extends Deferred {
  readonly #dy: Tensor;
  readonly #x: Tensor;
  readonly #stats: Tensor;
  readonly #gamma: Tensor;
  readonly #residual: Tensor | null;
  readonly #eps: number;

  constructor(
    dy: Tensor,
    x: Tensor,
    stats: Tensor,
    gamma: Tensor,
    residual: Tensor | null,
    { eps }: { readonly eps: number },
  ) {
    const held = [dy.view(), x.view(), stats.view(), gamma.view(), residual?.view() ?? null] as const;
    super(...held);
    [this.#dy, this.#x, this.#stats, this.#gamma, this.#residual] = held;
    this.#eps = eps;
  }

  compute(dx: GpuBuffer): void {
    const width = this.#gamma.size;
    layerNormBackward(this.#dy.gpu, {
      x: this.#x.buffer,
      stats: this.#stats.buffer,
      dy: this.#dy.buffer,
      gamma: this.#gamma.buffer,
      residual: this.#residual?.buffer ?? null,
      dx,
      rows: this.#dy.size / width,
      width,
    });
  }

  /** The gradient by the norm's output, of which a product makes, and writes to `dx`, that by its input. */
  onTheWay(dx: GpuBuffer): { a: GpuBuffer; norm: NormOfA } {
    const norm = {
      of: 'gradient' as const,
      gamma: this.#gamma.buffer,
      eps: this.#eps,
      x: this.#x.buffer,
      residual: this.#residual?.buffer ?? null,
      dx,
    };
    return { a: this.#dy.buffer, norm };
  }
}
