import { allOrNone } from '../autograd/scope.ts';
import { writeOutput } from '../common/files.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { PretrainingLoop, type PretrainingState, stepCount } from './loop.ts';
import { PretrainingModel } from './model.ts';
import { type PretrainingSummary, recordText, writeWeights } from './results.ts';
import {
  beginPretraining,
  explainedPretraining,
  openPretraining,
  type PretrainingOptions,
  type PretrainingRun,
  restorePretraining,
  savePretraining,
} from './run-state.ts';
import type { PretrainingSettings } from './settings.ts';
import { teacherFeatures } from './teacher.ts';

/**
 * Pre-trains a CLIP as `settings` say; leaves its weights, checkpoints and losses in the run's folder.
 *
 * @throws UserError if the run cannot begin, go on, or ends in numbers that are not finite
 * @throws Stopped if `options.signal` ended it
 */
export async function pretrainRun(
  gpu: Gpu,
  settings: PretrainingSettings,
  options: PretrainingOptions,
): Promise<PretrainingSummary> {
  const began = performance.now();
  const run = await openPretraining(settings, options);
  const steps = stepCount(run.views.length, run.settings);
  try {
    const trained = await recovering(gpu, (device) => attempt(device, run), {
      progress: () => (run.last?.state.step ?? 0) + (run.teacher ? 1 : 0),
      lost: ({ message }) => options.reporter.line(`recovering ${message}`),
    });
    return await writeSummary(run, trained, {
      adapter: gpu.adapter.name,
      seconds: (performance.now() - began) / 1000,
    });
  } catch (error) {
    throw explainedPretraining(run, error, steps);
  } finally {
    run.folder.release();
  }
}

interface Trained {
  readonly state: PretrainingState;
  readonly parameters: number;
}

/** All that needs a device: asks the teacher, trains from the last checkpoint to the end, and writes the weights. */
async function attempt(gpu: Gpu, run: PretrainingRun): Promise<Trained> {
  const { settings, options, views, tokens } = run;
  const { reporter, signal } = options;
  run.teacher ??= await teacherFeatures(
    gpu,
    views,
    settings,
    reporter,
    () => beginPretraining(run, stepCount(views.length, settings)),
    signal,
  );
  const { teacher, teacherWidth } = run.teacher;
  const { seed } = settings;
  const model = allOrNone(
    () => new PretrainingModel(gpu, run.config, run.start, { textLength: tokens.length, teacherWidth, seed }),
  );
  try {
    const data = { views, tokens, teacher, teacherWidth };
    const loop = allOrNone(() => new PretrainingLoop(gpu, model, data, settings));
    try {
      const parameters = [...model.weights().values()].reduce((sum, { size }) => sum + size, 0);
      reporter.line(`model      ${parameters.toLocaleString('en')} parameters`);
      const state = await trainSteps(run, loop);
      await writeWeights(run.folder.file('model.safetensors'), model.weights(), settings);
      return { state, parameters };
    } finally {
      loop.dispose();
    }
  } finally {
    model.dispose();
  }
}

async function trainSteps(run: PretrainingRun, loop: PretrainingLoop): Promise<PretrainingState> {
  const { settings, options, last } = run;
  const { reporter, signal } = options;
  const device = { parameters: loop.model.state(), optimizer: loop.optimizerState() };
  let start: PretrainingState = { step: 0, records: [], plan: [{ after: 0, epochs: settings.epochs }] };
  if (last) {
    await restorePretraining(last, device);
    start = last.state;
    reporter.line(`resuming   after step ${start.step} of ${loop.steps}`);
    // With what is asked of it from now on, so that the next --resume knows, and in the folder it goes on in.
    if (last.changed) await savePretraining(run, device, start);
  }
  const bar = reporter.bar('pre-training, steps', loop.steps - start.step);
  const events = {
    step: () => bar.advance(),
    record: async (state: PretrainingState, record: PretrainingState['records'][number]) => {
      await savePretraining(run, device, state);
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
  run: PretrainingRun,
  { state, parameters }: Trained,
  measured: { readonly adapter: string; readonly seconds: number },
): Promise<PretrainingSummary> {
  const { settings, folder, pairs, views } = run;
  const extended = state.plan.slice(1);
  const summary: PretrainingSummary = {
    folder: folder.path,
    settings,
    adapter: measured.adapter,
    images: pairs.pairs.length,
    views: views.length,
    excluded: pairs.excluded,
    parameters,
    steps: state.step,
    ...(extended.length > 0 ? { extended } : {}),
    last: state.records.at(-1) ?? null,
    seconds: measured.seconds,
  };
  await writeOutput(folder.file('summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}
