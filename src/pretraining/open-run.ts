import * as v from 'valibot';
import { applyValues, defaultValues } from '../common/fields.ts';
import { count, finite } from '../common/json.ts';
import type { Reporter } from '../common/reporter.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import type { ClipConfig, TextConfig } from '../model/config.ts';
import { initialWeights } from '../model/weights/initial.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { templatePrompts } from '../training/create-learner.ts';
import { dataIdentity } from '../training/data-identity.ts';
import type { RunKind, RunOptions } from '../training/run-kind.ts';
import type { DataIdentity } from '../training/run-schemas.ts';
import { planSchema } from '../training/run-schemas.ts';
import type { SavedRun } from '../training/saved-run.ts';
import { fields } from '../training/settings.ts';
import { contextLength, pretrainingConfig } from './config.ts';
import { checkBatches, type PretrainingState } from './loop.ts';
import { type Pairs, readPairs } from './pairs.ts';
import { type PretrainingSettings, pretrainingFields } from './settings.ts';
import { startFromSpectra } from './spectral-weights.ts';
import type { Teacher } from './teacher.ts';
import { CaptionTokens } from './tokens.ts';
import { drawViews, type View } from './views.ts';

const mean = v.nullable(finite);
const stateSchema = v.object({
  step: count,
  records: v.array(
    v.object({
      step: count,
      epoch: finite,
      lr: finite,
      contrastive: finite,
      distillation: mean,
      quality: mean,
      imagesPerSecond: finite,
    }),
  ),
  plan: v.exactOptional(planSchema),
});

export const pretrainingKind: RunKind<PretrainingSettings, PretrainingState, object> = {
  command: 'pretrain',
  format: {
    name: 'clip-agiqa-webgpu pretraining checkpoint 2',
    earlier: ['clip-agiqa-webgpu pretraining checkpoint 1'],
    expected: { is: 'a pre-training checkpoint' },
    state: stateSchema,
    settings: (values, path) =>
      applyValues(pretrainingFields, defaultValues(pretrainingFields), values, path),
    readMore: () => ({}),
    writeMore: () => ({}),
  },
  unit: 'step',
  done: ({ step }) => step,
  unsaved: 'before the first checkpoint',
  remedy: 'Lower --lr.',
};

/** What a pre-training holds on the host: with its last checkpoint all that another device needs to go on. */
export interface PretrainingRun {
  readonly saved: SavedRun<PretrainingSettings, PretrainingState, object>;
  readonly settings: PretrainingSettings;
  readonly options: RunOptions;
  readonly pairs: Pairs;
  readonly views: readonly View[];
  readonly tokens: CaptionTokens;
  readonly config: ClipConfig & { readonly text: TextConfig };
  /** By canonical name: what training starts from. */
  readonly start: ReadonlyMap<string, HostTensor>;
  /** What the teacher says, once it was asked. */
  teacher: Teacher | null;
}

/**
 * Opens what a run reads; nothing is computed on a device.
 *
 * @throws UserError if images or captions are not there, or not those that the run was trained on
 */
export async function openPretraining(
  saved: PretrainingRun['saved'],
  options: RunOptions,
): Promise<PretrainingRun> {
  const { settings } = saved;
  const { resume, reporter, signal } = options;
  const tokenizer = await loadTokenizer();
  const config = pretrainingConfig(settings, tokenizer.vocabSize);
  const draw = !resume || settings.root === '' ? { reporter, signal } : undefined;
  const pairs = await readPairs(settings, draw);
  const views = drawViews(pairs.pairs, pairs.thresholds, settings);
  checkBatches(views.length, settings);
  describeData(pairs, views.length, reporter);
  saved.identify(await identityOf(pairs, settings));
  // The zero-shot trainer's default, so that a model learns what it will be asked.
  const words = templatePrompts(fields.template.value);
  const captions = views.map(({ caption }) => caption);
  const weights = initialWeights(config, settings.seed);
  if (settings.start === 'spectral') startFromSpectra(weights, config.vision);
  return {
    saved,
    settings,
    options,
    pairs,
    views,
    config,
    start: weights,
    tokens: new CaptionTokens(tokenizer, captions, words, contextLength),
    teacher: null,
  };
}

function describeData({ pairs, excluded }: Pairs, views: number, reporter: Reporter): void {
  const left =
    excluded.length > 0 ? `; ${excluded.length} left out because they are identical to a held-out image` : '';
  reporter.line(`data       ${pairs.length} images, ${views} views${left}`);
}

async function identityOf(
  { pairs, excluded }: Pairs,
  { teacher }: PretrainingSettings,
): Promise<DataIdentity> {
  return dataIdentity({
    images: pairs.map(({ name, text, generator, quality }) => [name, text, generator, quality]),
    'left out': excluded.map((name) => [name]),
    teachers: teacher === '' ? [] : [[await weightsId(teacher)]],
  });
}
