import { collect } from '../../common/collect.ts';
import { UserError } from '../../common/errors.ts';
import type { StepData } from '../../step/step-data.ts';
import { trainingBytes } from '../../training/training-format.ts';
import type { EpochEvent, TrainArgs, TrainedResult } from '../protocol.ts';
import { openFile, type PageEngine } from './engine.ts';
import { pageSettings, type RatedFeatures, readRated, type TrainOptions, trainInPage } from './train.ts';
import { FixedVocabulary } from './vocabulary.ts';

/** Trainings on the rated images that lie beside the page, which are loaded once somebody asks for one. */
export class PageTraining {
  readonly #engine: PageEngine;
  #loaded: Promise<{ readonly rated: RatedFeatures; readonly vocabulary: FixedVocabulary }> | undefined;

  constructor(engine: PageEngine) {
    this.#engine = engine;
  }

  #load() {
    this.#loaded ??= (async () => {
      const [rated, vocabulary] = await Promise.all([
        openFile('data/rated.safetensors').then(readRated),
        fetch('data/vocabulary.json').then((response) => {
          if (!response.ok)
            throw new UserError('data/vocabulary.json could not be loaded', 'Reload the page.');
          return response.json();
        }),
      ]);
      return { rated, vocabulary: new FixedVocabulary(vocabulary) };
    })();
    this.#loaded.catch(() => {
      this.#loaded = undefined;
    });
    return this.#loaded;
  }

  async #options(args: TrainArgs, signal: AbortSignal): Promise<TrainOptions> {
    const { weights, model } = this.#engine;
    const { weightsId } = model;
    return { weights, weightsId, ...(await this.#load()), settings: pageSettings(args), signal };
  }

  /** One step of such a training, recorded; told of the share that is done. */
  async step(args: TrainArgs, tell: (share: number) => void, signal: AbortSignal): Promise<StepData> {
    const engine = this.#engine;
    const options = await this.#options(args, signal);
    // What records is loaded once somebody asks for it.
    const { recordInPage } = await import('./record-step.ts');
    return engine.recovering(async (device) => {
      const { clip } = await engine.tower(device);
      return recordInPage(device, clip.vision, options, tell);
    });
  }

  async heldOut(): Promise<Float32Array> {
    const { rated } = await this.#load();
    return Float32Array.from(rated.test, (sample) => rated.mos[sample]!);
  }

  async train(
    args: TrainArgs,
    onEpoch: (event: EpochEvent) => void,
    signal: AbortSignal,
  ): Promise<TrainedResult> {
    const options = await this.#options(args, signal);
    const { rated } = options;
    const { model: trained } = await this.#engine.recovering((device) =>
      trainInPage(device, { ...options, onEpoch }),
    );
    return {
      file: await collect(trainingBytes(trained)),
      images: { train: rated.train.length, test: rated.test.length },
    };
  }
}
