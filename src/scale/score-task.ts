import * as v from 'valibot';
import { checkJson } from '../common/json.ts';
import { decoderId } from '../data/images/decode.ts';
import { numericsVersion } from '../kernels/device/numerics.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { modelDigest, modelFiles } from '../scoring/model-files.ts';
import { openScoring, type ScoringSpec, scoreColumns } from '../scoring/open-scoring.ts';
import { classColumns, openClasses } from './class-task.ts';
import type { Plan } from './plan.ts';
import type { Column } from './table.ts';
import type { TaskKind } from './task.ts';

const scoreSchema = v.object({
  model: v.exactOptional(v.string()),
  zeroShot: v.exactOptional(v.boolean()),
  weights: v.exactOptional(v.string()),
  scoreBy: v.exactOptional(v.picklist(['words', 'antonyms'])),
  epoch: v.exactOptional(v.union([v.number(), v.literal('best')])),
  position: v.exactOptional(v.picklist(['end', 'middle', 'front'])),
  batch: v.number(),
  pairs: v.exactOptional(v.array(v.string())),
  alignment: v.exactOptional(v.string()),
  doubt: v.exactOptional(v.array(v.string())),
  exif: v.exactOptional(v.boolean()),
  /** Whether images have prompts. */
  prompts: v.exactOptional(v.boolean()),
  /** Whether the model tells classes apart. */
  classes: v.exactOptional(v.boolean()),
});

/** Settings of a plan that scores. */
export type ScoreSettings = v.InferOutput<typeof scoreSchema>;

const settingsOf = ({ settings }: Pick<Plan, 'settings'>): ScoreSettings =>
  checkJson(settings, scoreSchema, 'plan.json, settings');

/** Scoring, as `score` does it. */
export const scoreTask: TaskKind = {
  async identify(plan) {
    const spec = settingsOf(plan);
    const { model, weights } = await modelFiles(spec);
    return {
      ...(model !== undefined && { model: await modelDigest(model) }),
      ...(weights !== undefined && { weights: await weightsId(weightsPath(weights)) }),
      ...(spec.alignment !== undefined && {
        alignment: await modelDigest((await modelFiles({ model: spec.alignment })).model!),
      }),
      numerics: numericsVersion,
      decoder: decoderId,
    };
  },
  columns(plan) {
    const settings = settingsOf(plan);
    if (settings.classes) return classColumns;
    const names = ['score', ...scoreColumns(settings as ScoringSpec, settings.prompts ?? false)];
    return names.map((name): Column => ({ name, type: 'double' }));
  },
  async open(gpu, plan, reporter) {
    const settings = settingsOf(plan);
    const { exif = false, prompts, model = 'embedded', classes } = settings;
    if (classes) return openClasses(gpu, model, settings);
    const scoring = await openScoring(gpu, settings as ScoringSpec);
    for (const [label, text] of scoring.about) reporter.line(`${label.padEnd(10)} ${text}`);
    const columns = this.columns(plan);
    return {
      columns,
      async *compute(images) {
        const paths = images.map(({ file, name, bytes }) => (bytes ? { name, image: bytes } : file));
        const texts = prompts ? images.map(({ prompt }) => prompt) : undefined;
        for await (const result of scoring.score(paths, { prompts: texts, exif })) {
          const { index } = images[result.index]!;
          if ('error' in result) yield { index, error: result.error };
          else {
            const [, ...more] = columns;
            yield {
              index,
              cells: [result.score, ...more.map(({ name }) => result.columns?.[name] ?? null)],
            };
          }
        }
      },
      times: () => scoring.times,
      close: () => scoring.close(),
    };
  },
};
