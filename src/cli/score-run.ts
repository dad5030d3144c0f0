import { UserError } from '../common/errors.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import type { Reading } from '../model/class-constants.ts';
import type { Position } from '../model/prefix-tree.ts';
import { doubtNamesOf } from '../scoring/doubt.ts';
import type { ScoringSpec } from '../scoring/open-scoring.ts';
import { trainedSettings } from '../scoring/trained-model.ts';
import { refuseScoreOptions } from './class-sheet.ts';
import type { ExplainFlags } from './explain-options.ts';
import { epochFile } from './original-options.ts';
import type { SheetOrder } from './score-sheet.ts';
import type { ShardFlags } from './shard-options.ts';
import { absolute, planRun, workRun } from './shard-run.ts';

/** Options of `score`. */
export interface ScoreFlags extends ShardFlags, ExplainFlags {
  model?: string;
  zeroShot?: boolean;
  epochFile?: string;
  ctp: Position;
  scoreBy?: Reading;
  weights?: string;
  pairs?: readonly string[];
  alignment?: string;
  doubt?: boolean;
  list?: string;
  imageColumn?: string;
  promptColumn?: string;
  root?: string;
  batch?: number;
  csv?: string;
  rawCsv?: boolean;
  json?: boolean;
  sort?: SheetOrder;
  exif?: boolean;
  strict?: boolean;
}

/** The model that these options name. Throws `UserError` where it is to say its doubt and cannot. */
export const specOf = async ({ ctp, epochFile: epoch, ...options }: ScoreFlags): Promise<ScoringSpec> => ({
  ...(options.doubt && { doubt: await doubtOf(options) }),
  ...pick(options, ['model', 'zeroShot', 'weights', 'scoreBy', 'batch', 'pairs', 'alignment']),
  ...(epoch !== undefined && { epoch: epochFile(epoch) }),
  position: ctp,
});

async function doubtOf({ model = 'embedded', zeroShot }: Pick<ScoreFlags, 'model' | 'zeroShot'>) {
  if (zeroShot) throw new UserError('--zero-shot says nothing of its doubt', 'Omit --doubt.');
  return doubtNamesOf(model);
}

/** Works through a plan in the folder `out`; see docs/scale.md. */
export async function scoreRun(out: string, options: ScoreFlags, args: string[]): Promise<void> {
  for (const name of ['csv', 'json', 'sort', 'rawCsv'] as const)
    if (options[name] !== undefined)
      throw new UserError(
        `--${name === 'rawCsv' ? 'raw-csv' : name} and --out are two ways to write scores`,
        `Use --out alone, then: node dist/merge.js ${out} --csv scores.csv`,
      );
  const { model, weights, alignment, exif, ctp, ...rest } = options;
  const places = { model: absolute(model), weights: absolute(weights), alignment: absolute(alignment) };
  const decides = pick(rest, ['zeroShot', 'scoreBy', 'epochFile', 'batch', 'pairs', 'doubt']);
  const run = await planRun(out, options, {
    task: 'score',
    images: { images: args, ...pick(rest, ['list', 'imageColumn', 'promptColumn', 'root']) },
    given: { ...decides, exif, ctp: ctp === 'end' ? undefined : ctp },
    places,
    settings: async ({ prompts }) => {
      const spec = { ...(await specOf(options)), batch: options.batch ?? encodeBatch, ...places, exif };
      const classes =
        !options.zeroShot && (await trainedSettings(model ?? 'embedded')).classColumn !== ''
          ? true
          : undefined;
      if (classes) refuseScoreOptions(model ?? 'embedded', options);
      const beside = { classes, prompts: (prompts && !classes) || undefined };
      return JSON.parse(JSON.stringify({ ...spec, ...beside }));
    },
  });
  await workRun(run, options);
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const chosen = {} as Pick<T, K>;
  for (const name of names) if (from[name] !== undefined) chosen[name] = from[name];
  return chosen;
}
