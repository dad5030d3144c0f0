import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { figureText } from '../src/common/figure-text.ts';
import { finite } from '../src/common/json.ts';
import { packageFile } from '../src/common/package.ts';
import type { CellFigure } from '../src/data/metrics/cell-bootstrap.ts';
import type { Settings } from '../src/training/settings.ts';
import { markdownTable } from './section.ts';

type Changes = Partial<Settings>;

/** What is changed about a model. */
export interface Variation {
  readonly name: string;
  readonly changes: Changes;
}

/** A model by which settings are judged. */
export interface Study {
  /** What all its models have in common. */
  readonly common: Changes;
  /** To the plain model each of these is added alone; of the model with all of them, each is left out. */
  readonly levers: readonly (Variation & { readonly undo: Changes })[];
  /** What is tried in place of a part of the model with all levers. */
  readonly instead: readonly Variation[];
}

const regime: Changes = {
  data: 'agiqa-3k',
  target: 'quality',
  trainer: 'image-only',
  pool: 'stats',
  scaling: 'standard',
  mosScaling: 'standard',
  augment: 'none',
  hidden: 64,
  optimizer: 'adamw',
  lr: 0.001,
  weightDecay: 0.01,
  warmupEpochs: 1,
  epochs: 40,
  batchSize: 64,
};

const heads: readonly Variation[] = [
  { name: 'sigmoid in place of ReLU', changes: { head: 'sigmoid' } },
  { name: 'gated in place of ReLU', changes: { head: 'gated' } },
];

const crops = { name: 'two native crops', changes: { crops: 2 }, undo: { crops: 0 } };
const plccLoss = { name: '0.3 × MSE + (1 - PLCC)', changes: { loss: '0.3*mse+plcc' }, undo: { loss: 'mse' } };
const members = { name: 'three members', changes: { members: 3 }, undo: { members: 1 } };

/** What is tried of a loss: every one beside or in place of PLCC. */
const losses: readonly Variation[] = [
  { name: 'norm-in-norm in place of PLCC', changes: { loss: '0.3*mse+norm-in-norm' } },
  { name: 'fidelity beside PLCC', changes: { loss: '0.3*mse+plcc+fidelity' } },
  { name: 'graded response besides', changes: { loss: '0.3*mse+plcc+0.1*grades' } },
];

export const studies = {
  'deit-tiny': {
    common: { ...regime, layers: '4,8,12' },
    levers: [
      crops,
      plccLoss,
      members,
      { name: 'dropout 0.7 before the head', changes: { inputDropout: 0.7 }, undo: { inputDropout: 0 } },
    ],
    instead: [...heads, ...losses],
  },
  embedded: {
    common: { ...regime, weights: 'embedded', layers: '1,2,3' },
    levers: [crops, plccLoss, members],
    instead: [
      ...heads,
      ...losses,
      {
        name: 'above a degraded version besides',
        changes: { loss: '0.3*mse+plcc+order', versions: 1 },
      },
      { name: "the feature's length besides", changes: { featureLength: true } },
      { name: 'similarities with learned prompts besides', changes: { trainer: 'clip-agiqa-plus' } },
    ],
  },
} as const satisfies Record<string, Study>;

export type StudyName = keyof typeof studies;
export const studyNames = Object.keys(studies) as StudyName[];

/** A model of a study, and which one it is compared with. */
export interface Trial extends Variation {
  /** Also the name of its folder. */
  readonly id: string;
  /** Id of what it is compared with; null of the two that others are compared with. */
  readonly against: string | null;
}

/** All models of a study: what others are compared with first. */
export function trialsOf({ common, levers, instead }: Study): Trial[] {
  const all = Object.assign({}, common, ...levers.map(({ changes }) => changes)) as Changes;
  const slug = (text: string) =>
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '');
  return [
    { id: 'plain', name: 'none of them: resized image, MSE', changes: common, against: null },
    { id: 'all', name: 'all of them', changes: all, against: null },
    ...levers.map(({ name, changes }) => ({
      id: `alone-${slug(name)}`,
      name: `${name}, alone`,
      changes: { ...common, ...changes },
      against: 'plain',
    })),
    ...levers.map(({ name, undo }) => ({
      id: `without-${slug(name)}`,
      name: `all but ${name}`,
      changes: { ...all, ...undo },
      against: 'all',
    })),
    ...instead.map(({ name, changes }) => ({
      id: `with-${slug(name)}`,
      name: `all, ${name}`,
      changes: { ...all, ...changes },
      against: 'all',
    })),
  ];
}

const figure = v.object({ value: finite, interval: v.tuple([finite, finite]) });

/** What is kept of each model: bench/results/ablations/STUDY.json. */
export const ablationSchema = v.object({
  adapter: v.string(),
  seeds: v.array(v.number()),
  /** By the id of the model. */
  trials: v.record(
    v.string(),
    v.object({
      /** By the name of a protocol's line: mean SRCC over folds and seeds, and how much it is above that of what it is compared with. */
      srcc: v.record(v.string(), figure),
      above: v.nullable(v.record(v.string(), figure)),
      /** Spent on training. */
      seconds: finite,
    }),
  ),
});
export type AblationResults = v.InferOutput<typeof ablationSchema>;

const root = dirname(packageFile('package.json'));
export const ablationFolder = join(root, 'bench', 'results', 'ablations');
/** The document that has the tables. */
export const ablationDocument = join(root, 'docs', 'quality.md');

/** The SRCC of an evaluation's lines, by their names, to five decimals. */
export function keptFigures(
  rows: readonly { readonly name: string; readonly srcc: CellFigure }[],
): Record<string, { value: number; interval: [number, number] }> {
  const rounded = (value: number) => Number(value.toFixed(5));
  return Object.fromEntries(
    rows.map(({ name, srcc: { value, interval } }) => [
      name,
      { value: rounded(value), interval: [rounded(interval[0]), rounded(interval[1])] },
    ]),
  );
}

/** The lines of an evaluation that the tables have, and their columns. */
const columns = {
  'published split': 'published',
  'unseen prompts': 'unseen prompts',
  'unseen generator': 'unseen generator',
  'within a generator, published split': 'within, published',
  'within a generator, unseen prompts': 'within, unseen prompts',
} as const;

/** How much better, with an asterisk where that is more than the choice of images. */
function difference({ value, interval: [low, high] }: v.InferOutput<typeof figure>): string {
  return `${value < 0 ? '−' : '+'}${figureText(Math.abs(value), 3)}${low > 0 || high < 0 ? ' *' : ''}`;
}

/** A study as a table in Markdown; models that have not been trained are not in it. */
export function ablationTable(study: Study, { trials }: AblationResults): string {
  const rows = trialsOf(study).flatMap(({ id, name, against }) => {
    const found = trials[id];
    if (!found) return [];
    const cells = Object.keys(columns).map((line) => {
      const own = found.srcc[line];
      if (!own) return '';
      if (against === null)
        return `**${figureText(own.value, 3)}** (${own.interval.map((end) => figureText(end, 3)).join(' to ')})`;
      const above = found.above?.[line];
      return above ? `${figureText(own.value, 3)}, ${difference(above)}` : figureText(own.value, 3);
    });
    return [[name, ...cells]];
  });
  return markdownTable(['', ...Object.values(columns)], rows);
}

/** The document with a study's table between its marks. */
export function withAblations(document: string, study: string, table: string): string {
  const begin = `<!-- ablations ${study} -->\n`;
  const start = document.indexOf(begin);
  const end = document.indexOf('<!-- end -->', start);
  if (start < 0 || end < 0) throw new Error(`the document has no marks for the ablations of ${study}`);
  return `${document.slice(0, start + begin.length)}\n${table}\n\n${document.slice(end)}`;
}
