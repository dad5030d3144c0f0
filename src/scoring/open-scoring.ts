import { UserError } from '../common/errors.ts';
import type { ImageInput } from '../data/images/input.ts';
import { addedTimes, type EncodeTimes } from '../features/encode-times.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Reading } from '../model/class-constants.ts';
import type { Position } from '../model/prefix-tree.ts';
import { pairName, parsePair } from './antonyms.ts';
import type { PixelScorer } from './pixel-scorer.ts';
import { promptColumn, type ScoredImage, type ScoreOptions, Scorer } from './scorer.ts';
import { withSecondScore } from './second-score.ts';

/** Which model is to score, and how: all that decides a score beside the image and the device. Plain data, so that a plan can hold it. */
export interface ScoringSpec {
  /** As {@link Scorer.load} takes it; the embedded one by default. */
  readonly model?: string | undefined;
  readonly zeroShot?: boolean | undefined;
  readonly weights?: string | undefined;
  readonly scoreBy?: Reading | undefined;
  /** Of a folder of the published trainer. */
  readonly epoch?: number | 'best' | undefined;
  readonly position?: Position | undefined;
  readonly batch?: number | undefined;
  /** As `--pairs` takes them. */
  readonly pairs?: readonly string[] | undefined;
  /** The columns of the model's doubt, as `doubtNamesOf` gives them. */
  readonly doubt?: readonly string[] | undefined;
  /** The model of the column {@link alignmentColumn}. */
  readonly alignment?: string | undefined;
}

/** The column of the second model's score. */
export const alignmentColumn = 'alignment';

/** Names of the columns beside the score. */
export const scoreColumns = (
  { pairs = [], alignment, doubt = [] }: ScoringSpec,
  prompts: boolean,
): readonly string[] => [
  ...pairs.map((text) => pairName(parsePair(text))),
  ...(prompts ? [promptColumn] : []),
  ...doubt,
  ...(alignment === undefined ? [] : [alignmentColumn]),
];

/** A model that scores, with the second one where there is one. */
export interface Scoring {
  /** What the models are, and what their scores mean: a label and a text each. */
  readonly about: readonly (readonly [string, string])[];
  score(images: readonly ImageInput[], options: ScoreOptions): AsyncIterable<ScoredImage>;
  /** The first model, on images that are ready for it. */
  readonly pixels: PixelScorer;
  /** What images have taken so far. */
  readonly times: EncodeTimes;
  close(): Promise<void>;
}

/** Opens what a specification names. Throws `UserError` where it does not make sense, or names what is not there. */
export async function openScoring(gpu: Gpu, spec: ScoringSpec): Promise<Scoring> {
  const { batch, alignment, zeroShot, weights } = spec;
  const first = await openFirst(gpu, spec);
  const second = alignment === undefined ? null : await openAlignment(gpu, alignment, batch);
  const says = zeroShot
    ? `${weights ?? 'embedded'}, zero-shot: 0 (worst) to 1 (best)`
    : describeModel(spec.model ?? 'embedded', first);
  return {
    about: [
      ['model', says],
      ...(second && alignment !== undefined
        ? [['alignment', describeModel(alignment, second)] as const]
        : []),
    ],
    score(images, options) {
      const scored = first.score(images, options);
      if (!second) return scored;
      const { exif } = options;
      return withSecondScore(scored, second.score(images, { exif }), alignmentColumn);
    },
    pixels: first.pixels,
    get times() {
      return addedTimes([first.times, ...(second ? [second.times] : [])]);
    },
    async close() {
      await first.close();
      await second?.close();
    },
  };
}

async function openFirst(gpu: Gpu, spec: ScoringSpec): Promise<Scorer> {
  const { model, zeroShot, weights, scoreBy, batch, epoch, position } = spec;
  const pairs = (spec.pairs ?? []).map((text) => parsePair(text));
  if (zeroShot) return Scorer.zeroShot(gpu, weights, { scoreBy, batch, pairs });
  if (model === undefined && weights !== undefined)
    throw new UserError(
      'CLIP weights alone do not say how to score',
      'Add --zero-shot, or pass with --model a model trained on these weights.',
    );
  return Scorer.load(gpu, model ?? 'embedded', {
    weights,
    scoreBy,
    batch,
    pairs,
    doubt: spec.doubt !== undefined,
    epoch,
    ...(position && { position }),
  });
}

async function openAlignment(gpu: Gpu, path: string, batch: number | undefined): Promise<Scorer> {
  const scorer = await Scorer.load(gpu, path, { batch });
  const { data, target } = scorer.settings;
  if (target !== 'alignment' && data !== 'csv')
    throw new UserError(
      `${path} was trained on ${data}'s ${target || 'first score'}, not on alignment`,
      'Train one: node dist/train.js --target alignment',
    );
  return scorer;
}

function describeModel(path: string, { settings: { data, target, trainer } }: Scorer): string {
  if (path === 'embedded') return 'embedded: quality of AI-generated images, 0 (worst) to 5 (best)';
  const of = data === '' ? 'the published trainer' : `${trainer} on ${data}${target ? `, ${target}` : ''}`;
  return `${path} (${of})`;
}
