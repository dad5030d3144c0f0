import { keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { findNonFinite } from '../data/formats/finite.ts';
import { type Metrics, metricsOf } from '../data/metrics/evaluation.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { NonFiniteError } from './finite.ts';
import type { Learner } from './learner.ts';
import type { TrainingData } from './training-data.ts';

/** What a learner, as it is, makes of images that it does not learn from: their center crops, nothing recorded. */
export class Evaluator {
  readonly #gpu: Gpu;
  readonly #learner: Learner;
  readonly #data: TrainingData;

  constructor(gpu: Gpu, learner: Learner, data: TrainingData) {
    this.#gpu = gpu;
    this.#learner = learner;
    this.#data = data;
  }

  /**
   * Predictions for samples, from their center crops; `read` as the learner's `predict`, or one of its readings.
   *
   * @throws NonFiniteError
   */
  async predict(
    samples: Int32Array,
    read: (features: Tensor) => Tensor = (features) => this.#learner.predict(features),
  ): Promise<Float32Array> {
    const { target, names } = this.#data;
    const predictions = await this.#rows(samples, read);
    const restored = target ? predictions.map((value) => target.restore(value)) : predictions;
    const found = findNonFinite(restored);
    if (!found) return restored;
    const sample = samples[found.first]!;
    throw new NonFiniteError(
      `the prediction for ${names?.[sample] ?? `sample ${sample}`} became ${restored[found.first]}`,
    );
  }

  /** The score of each member of an ensemble, a row a sample; of a learner alone, its prediction. */
  async members(samples: Int32Array): Promise<Float32Array> {
    const { target } = this.#data;
    const read = (features: Tensor) => this.#learner.members?.(features) ?? this.#learner.predict(features);
    const rows = await this.#rows(samples, read);
    return target ? rows.map((value) => target.restore(value)) : rows;
  }

  /** Metrics over samples; null where there are none, or no scores. */
  async score(samples: Int32Array, read?: (features: Tensor) => Tensor): Promise<Metrics | null> {
    if (samples.length === 0 || this.#data.classNames) return null;
    const predictions = await this.predict(samples, read);
    const mos = Array.from(samples, (sample) => this.#data.mos[sample]!);
    return metricsOf([...predictions], mos);
  }

  /** Share of samples whose most probable class is theirs; null where there are none, or no classes. */
  async accuracy(samples: Int32Array): Promise<number | null> {
    if (samples.length === 0 || !this.#learner.classify) return null;
    const classes = await this.classify(samples);
    return samples.filter((sample, i) => classes[i] === this.#data.classes[sample]).length / samples.length;
  }

  /** The most probable class of each sample, by a learner that classifies. */
  async classify(samples: Int32Array): Promise<Uint32Array> {
    const logits = await this.#rows(samples, (features) => this.#learner.classify!(features));
    const width = logits.length / samples.length;
    return Uint32Array.from(samples, (_, i) => {
      const row = logits.subarray(i * width, (i + 1) * width);
      return row.indexOf(Math.max(...row));
    });
  }

  /** What `compute` makes of the samples' features, a row a sample. */
  async #rows(samples: Int32Array, compute: (features: Tensor) => Tensor): Promise<Float32Array> {
    const size = Math.min(256, samples.length);
    if (size === 0) return new Float32Array();
    let out: Float32Array | undefined;
    const features = keep(Tensor.empty(this.#gpu, [size, this.#data.testFeatures.width]));
    try {
      for (let at = 0; at < samples.length; at += size) {
        const part = samples.subarray(at, at + size);
        await this.#data.testFeatures.fill(part, 0, features);
        const computed = scope(() => compute(features));
        const width = computed.size / size;
        out ??= new Float32Array(samples.length * width);
        const values = await computed.read().finally(() => computed.dispose());
        out.set(values.subarray(0, part.length * width), at * width);
      }
    } finally {
      features.dispose();
    }
    return out!;
  }
}
