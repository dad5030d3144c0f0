import { Resources } from '../../common/resources.ts';
import type { Gpu } from '../../kernels/device/gpu.ts';
import type { VisionTransformer } from '../../model/vit.ts';
import { recordStep } from '../../step/record-step.ts';
import { sparedRows } from '../../step/spared-rows.ts';
import { sparedTower } from '../../step/spared-tower.ts';
import type { StepData } from '../../step/step-data.ts';
import { PageSources } from './page-sources.ts';
import { openTraining, type TrainOptions } from './train.ts';

/** Put in by `npm run web`. */
declare const packageVersion: string;

/** Replays of each kind: with dispatches repeated each takes long enough. */
const rounds = 7;
/** Images that the image tower, which the step spares, is recorded on. */
const towerImages = 4;

let sources: Promise<PageSources> | undefined;

/** Records the first step of a training on this GPU; the model that it trains is thrown away. */
export async function recordInPage(
  gpu: Gpu,
  vision: VisionTransformer,
  options: TrainOptions,
  tell: (share: number) => void,
): Promise<StepData> {
  sources ??= PageSources.load('data/sources.json.gz');
  sources.catch(() => {
    sources = undefined;
  });
  const { settings, signal } = options;
  const held = new Resources();
  try {
    const { clip, loop } = await openTraining(gpu, options, held);
    signal?.throwIfAborted();
    const tower = {
      encode: (patches: Parameters<VisionTransformer['features']>[0]) => vision.features(patches),
    };
    const spared = [
      ...(clip.hasText ? sparedRows(gpu, loop.learner, clip.text) : []),
      sparedTower(vision, tower, towerImages, settings.batchSize),
    ];
    const weights = new Map(clip.hasText ? clip.text.parameters.weights() : []);
    const command = `recorded in a page, ${settings.trainer}`;
    let done = 0;
    const { data } = await recordStep(
      { loop, settings, weights, spared, command },
      { version: packageVersion, sources: await sources },
      {
        line: () => {},
        bar: (_, total) => ({
          advance() {
            signal?.throwIfAborted();
            tell(Math.min(1, ++done / total));
          },
          stop: () => {},
        }),
      },
      { rounds },
    );
    return data;
  } finally {
    await held.release();
  }
}
