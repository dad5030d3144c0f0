import { allOrNone } from '../autograd/scope.ts';
import { defaultValues } from '../common/fields.ts';
import { Resources } from '../common/resources.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { pretrainingFolder } from '../training/default-folder.ts';
import { withAbsolutePaths } from '../training/resume.ts';
import type { RunOptions } from '../training/run-kind.ts';
import { SavedRun } from '../training/saved-run.ts';
import { PretrainingLoop, type PretrainingState, type StepRecord, stepCount } from './loop.ts';
import { PretrainingModel } from './model.ts';
import { openPretraining, type PretrainingRun, pretrainingKind } from './open-run.ts';
import { type PretrainingSummary, recordText, writeWeights } from './results.ts';
import { type PretrainingSettings, pretrainingFields } from './settings.ts';
import { askTeacher } from './teacher.ts';

/**
 * Pre-trains a CLIP as `settings` say; leaves its weights, checkpoints and losses in the run's folder.
 *
 * @throws UserError if the run cannot begin, go on, or ends in numbers that are not finite
 * @throws Stopped if `options.signal` ended it
 */
export async function pretrainRun(
  gpu: Gpu,
  given: PretrainingSettings,
  options: RunOptions,
): Promise<PretrainingSummary> {
  const began = performance.now();
  const settings = withAbsolutePaths(given);
  const path = settings.out || pretrainingFolder(settings, defaultValues(pretrainingFields));
  const saved = await SavedRun.open(pretrainingKind, path, settings, options);
  try {
    const run = await openPretraining(saved, options);
    const trained = await recovering(gpu, (device) => attempt(device, run), {
      progress: () => saved.done + (run.teacher ? 1 : 0),
      lost: ({ message }) => options.reporter.line(`recovering ${message}`),
    });
    const seconds = (performance.now() - began) / 1000;
    return await writeSummary(run, trained, { adapter: gpu.adapter.name, seconds });
  } catch (error) {
    throw saved.explain(error);
  } finally {
    saved.close();
  }
}

interface Trained {
  readonly state: PretrainingState;
  readonly parameters: number;
}

/** All that needs a device: asks the teacher, trains from the last checkpoint to the end, and writes the weights. */
async function attempt(gpu: Gpu, run: PretrainingRun): Promise<Trained> {
  const { saved, settings, options, views, tokens } = run;
  const { reporter } = options;
  const held = new Resources();
  try {
    const begin = () => saved.begin(stepCount(views.length, settings));
    const teacher = (run.teacher ??= await askTeacher(gpu, views, settings, options, begin));

    const how = { textLength: tokens.length, teacherWidth: teacher.width, seed: settings.seed };
    const model = held.hold(allOrNone(() => new PretrainingModel(gpu, run.config, run.start, how)));
    const data = { views, tokens, teacher };
    const loop = held.hold(allOrNone(() => new PretrainingLoop(gpu, model, data, settings)));
    const parameters = [...model.weights().values()].reduce((sum, { size }) => sum + size, 0);
    reporter.line(`model      ${parameters.toLocaleString('en')} parameters`);

    const start = (await saved.restore(loop.tensors())) ?? beginning(settings);
    const state = await trainSteps(run, loop, start);
    await writeWeights(saved.folder.file('model.safetensors'), model.weights(), settings);
    return { state, parameters };
  } finally {
    await held.release();
  }
}

const beginning = ({ epochs }: PretrainingSettings): PretrainingState => ({
  step: 0,
  records: [],
  plan: [{ after: 0, epochs }],
});

async function trainSteps(
  { saved, options }: PretrainingRun,
  loop: PretrainingLoop,
  start: PretrainingState,
): Promise<PretrainingState> {
  const { reporter, signal } = options;
  const bar = reporter.bar('pre-training, steps', loop.steps - start.step);
  const events = {
    step: () => bar.advance(),
    record: async (state: PretrainingState, record: StepRecord) => {
      await saved.save(state, loop.tensors(), {});
      reporter.line(recordText(record, loop.steps));
    },
  };
  try {
    return await loop.run(start, events, signal);
  } finally {
    bar.stop();
  }
}

async function writeSummary(
  { saved, settings, pairs, views }: PretrainingRun,
  { state, parameters }: Trained,
  { adapter, seconds }: { readonly adapter: string; readonly seconds: number },
): Promise<PretrainingSummary> {
  const summary: PretrainingSummary = {
    folder: saved.folder.path,
    settings,
    adapter,
    images: pairs.pairs.length,
    views: views.length,
    excluded: pairs.excluded,
    parameters,
    steps: state.step,
    ...saved.extended,
    last: state.records.at(-1) ?? null,
    seconds,
  };
  await saved.folder.summary(summary);
  return summary;
}
