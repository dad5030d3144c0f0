import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defaultValues } from '../../src/common/fields.ts';
import { writeOutput } from '../../src/common/files.ts';
import { silent } from '../../src/common/reporter.ts';
import { makeScenes } from '../../src/data/datasets/scenes/make.ts';
import { featureExtractor } from '../../src/features/feature-extractor.ts';
import { ImageEncoder, type ImageTower } from '../../src/features/image-encoder.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { recovering } from '../../src/kernels/device/recovery.ts';
import type { Clip } from '../../src/model/clip.ts';
import { loadClip } from '../../src/model/load-clip.ts';
import { weightsId } from '../../src/model/weights/weights-id.ts';
import { pretrainRun } from '../../src/pretraining/run.ts';
import { type PretrainingSettings, pretrainingFields } from '../../src/pretraining/settings.ts';
import { type ScoredImage, Scorer } from '../../src/scoring/scorer.ts';
import { trainRun } from '../../src/training/run.ts';
import { trainSeeds } from '../../src/training/seeds.ts';
import { applySettings, defaultSettings, type Settings } from '../../src/training/settings.ts';
import { inProject } from './project.ts';

/** A kind of run that faults are tried on, in a folder of the test's own. */
export interface Kind {
  readonly name: string;
  /** What the run writes: folders below the folder it is given. */
  readonly roots: readonly string[];
  run(gpu: Gpu, folder: string, resume: boolean): Promise<unknown>;
}

const imagesBeside = (folder: string): string => join(folder, '..', 'images');

/** Draws the few images all kinds learn from, beside the folders they run in. */
export const prepareImages = (folder: string): Promise<void> =>
  makeScenes(imagesBeside(folder), { scenes: 10, versions: 2, size: 32, seed: 3 });

/** The smallest settings with which everything takes place more than once. */
function tinySettings(folder: string, changes: Partial<Settings>): Settings {
  const values = {
    data: 'scenes',
    root: imagesBeside(folder),
    weights: inProject('test/fixtures/tiny-clip.json'),
    trainer: 'image-only',
    epochs: 3,
    batchSize: 8,
    views: 2,
    hidden: 16,
    tune: 'never',
    // Shared by all and filled by the first.
    cache: join(folder, '..', 'shared-cache'),
    out: join(folder, 'run'),
  };
  return applySettings(defaultSettings(), { ...values, ...changes }, 'test');
}

function training(
  name: string,
  changes: Partial<Settings>,
  { roots = [], tensorboard = false }: { roots?: readonly string[]; tensorboard?: boolean } = {},
): Kind {
  return {
    name,
    roots: ['run', ...roots],
    run: (gpu, folder, resume) => {
      const cache = roots.includes('cache') ? { cache: join(folder, 'cache') } : {};
      const settings = tinySettings(folder, { ...changes, ...cache });
      // That a run has curves, its folder says.
      const goesOn = resume && hasBegun(settings.out);
      const options = { resume: goesOn, tensorboard: tensorboard && !goesOn, reporter: silent };
      return trainRun(gpu, settings, options);
    },
  };
}

/** Whether there is anything to go on with: a run killed before that starts over. */
export const hasBegun = (folder: string): boolean =>
  ['checkpoint.safetensors', 'config.yaml'].some((name) => existsSync(join(folder, name)));

export const kinds: readonly Kind[] = [
  training('last', { nCtx: 2, trainer: 'clip-agiqa' }),
  training('best_val', { finalModel: 'best_val', valSize: 0.4, lr: 0.02, epochs: 5 }),
  training('tensorboard', { optimizer: 'adamw' }, { tensorboard: true }),
  training('cache', { cacheType: 'float16', encodeBatch: 4 }, { roots: ['cache'] }),
  {
    name: 'pretrain',
    roots: ['run'],
    run: (gpu, folder, resume) => {
      const out = join(folder, 'run');
      const settings: PretrainingSettings = {
        ...defaultValues(pretrainingFields),
        data: 'scenes',
        root: imagesBeside(folder),
        out,
        cache: 'none',
        imageSize: 32,
        patchSize: 16,
        visionWidth: 64,
        visionLayers: 1,
        textWidth: 64,
        textLayers: 1,
        start: 'random',
        embedding: 16,
        views: 1,
        batchSize: 8,
        chunkSize: 8,
        epochs: 2,
        checkpointEvery: 2,
        tune: 'never',
      };
      return pretrainRun(gpu, settings, { resume: resume && hasBegun(out), reporter: silent });
    },
  },
  {
    name: 'seeds',
    roots: ['run'],
    run: (gpu, folder, resume) =>
      trainSeeds(gpu, tinySettings(folder, { epochs: 2, out: join(folder, 'run') }), [1, 2], {
        resume,
        reporter: silent,
      }),
  },
  {
    name: 'scenes',
    roots: ['run'],
    // As a training does it that finds none.
    run: async (_, folder) => {
      const scenes = join(folder, 'run', 'scenes');
      if (!existsSync(join(scenes, 'data.csv')))
        await makeScenes(scenes, { scenes: 2, versions: 2, size: 16, seed: 1 });
    },
  },
];

/** Scores the images with a model that is trained first, before the folder holds one. */
const scoring: Kind = {
  name: 'score',
  roots: ['run'],
  run: async (gpu, folder) => {
    const out = join(folder, 'model');
    if (!existsSync(join(out, 'summary.json')))
      await trainRun(gpu, tinySettings(folder, { out }), { resume: false, reporter: silent });
    const scorer = await Scorer.load(gpu, out, { batch: 4 });
    try {
      const scores: ScoredImage[] = [];
      for await (const score of scorer.score(imagesOf(folder))) scores.push(score);
      await writeOutput(join(folder, 'run', 'scores.json'), JSON.stringify(scores));
    } finally {
      await scorer.close();
    }
  },
};

/** Encodes the images as the command of that name does. */
const encoding: Kind = {
  name: 'encode',
  roots: ['run'],
  run: async (gpu, folder) => {
    const weights = inProject('test/fixtures/tiny-clip.json');
    const id = await weightsId(weights);
    const clips: Clip[] = [];
    const tower = async (device: Gpu): Promise<ImageTower> => {
      const clip = await loadClip(device, weights, { text: false });
      clips.push(clip);
      return { vision: clip.vision, encoder: featureExtractor(clip.vision, id, tinySettings(folder, {})) };
    };
    const { vision, encoder } = await recovering(gpu, tower);
    const images = new ImageEncoder(gpu.latest, vision, encoder, {
      batch: 4,
      cache: null,
      reopen: tower,
    });
    try {
      const features: number[][] = [];
      for await (const result of images.encode(jobsOf(folder, images.imageSize)))
        features[result.index] = 'feature' in result ? [...result.feature] : [];
      await writeOutput(join(folder, 'run', 'features.json'), JSON.stringify(features));
    } finally {
      await images.close();
      for (const clip of clips) clip.dispose();
    }
  },
};

const jobsOf = (folder: string, size: number) =>
  imagesOf(folder).map((path) => ({ path, size, transform: { kind: 'test' as const } }));

const imagesOf = (folder: string): string[] =>
  readdirSync(imagesBeside(folder))
    .filter((name) => name.endsWith('.png'))
    .sort()
    .map((name) => join(imagesBeside(folder), name));

/** Kinds of work on a device. */
export const deviceKinds: readonly Kind[] = [
  ...kinds.filter(({ name }) => name !== 'scenes'),
  scoring,
  encoding,
];
