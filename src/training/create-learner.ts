import { gatherRows } from '../autograd/ops/embedding.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { normals, streams } from '../common/random.ts';
import type { TextIds } from '../data/tokenizer/tokenizer.ts';
import {
  choosesFeatures,
  cropsOf,
  visionFeature,
  visionFeaturePlaces,
} from '../features/feature-extractor.ts';
import { ClipAgiqa, checkVocabulary, qualityPrompts, qualityWords } from '../model/agiqa.ts';
import { ClassScores } from '../model/class-scores.ts';
import { type Clip, noTextTower } from '../model/clip.ts';
import type { ClipConfig, TextConfig, VisionConfig } from '../model/config.ts';
import { FeatureScaling, type FeatureStatistics } from '../model/feature-scaling.ts';
import { GradeBoundaries } from '../model/grades.ts';
import { ensembleOf, initialHead, RegressionHead } from '../model/head.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import type { TextTransformer } from '../model/text.ts';
import type { MosScale } from './class-centers.ts';
import type { Learner } from './learner.ts';
import { ClipAgiqaLearner } from './learners/clip-agiqa.ts';
import { ClipAgiqaPlusLearner } from './learners/clip-agiqa-plus.ts';
import { CoopLearner } from './learners/coop.ts';
import { HeadTrainer } from './learners/head-trainer.ts';
import { ImageOnlyLearner } from './learners/image-only.ts';
import { ZeroShotLearner } from './learners/zero-shot.ts';
import type { Settings } from './settings.ts';
import { parseLoss, usesGrades } from './training-loss.ts';
import { wordsOf } from './words.ts';

/** CoOp's standard deviation of the context's initial values. */
const contextDeviation = 0.02;

/** Between the seeds of an ensemble's members, more than anybody's seeds are apart. */
const memberStride = 2 ** 32;

/** CLIP-IQA's pair (Wang et al., arXiv 2207.12396). */
export const antonyms: readonly string[] = ['Good photo.', 'Bad photo.'];

/**
 * The model of `settings.trainer`, freshly initialized from the seed.
 *
 * @param statistics those of the training images' features
 * @param words of the prompts, by default the quality words of the settings
 */
export function createLearner(...given: Parameters<typeof makeLearner>): Learner {
  return allOrNone(() => makeLearner(...given));
}

function makeLearner(
  clip: Clip,
  tokenizer: TextIds | null,
  featureWidth: number,
  settings: Settings,
  scale: MosScale,
  statistics: () => FeatureStatistics,
  words: readonly string[] = wordsOf(settings),
): Learner {
  const { trainer, seed } = settings;
  const hidden = settings.hidden || featureWidth;
  const headFor = (width: number, members = 1) => {
    const { head: kind } = settings;
    const heads = Array.from({ length: members }, (_, member) =>
      initialHead(width, hidden, seed + member * memberStride, kind),
    );
    return new RegressionHead(clip.gpu, ensembleOf(heads, kind), kind);
  };
  const trainerOf = (width: number) =>
    new HeadTrainer({
      head: headFor(width, settings.members),
      scaling: new FeatureScaling(clip.gpu, settings.scaling === 'standard' ? statistics() : null),
      terms: parseLoss(settings.loss),
      versions: versionsOf(settings),
      grades: usesGrades(settings.loss) ? new GradeBoundaries(clip.gpu, wordsOf(settings).length) : null,
    });
  const textual = () => {
    if (!tokenizer) throw new Error(`${trainer} needs a tokenizer`);
    return tokenizer;
  };
  switch (trainer) {
    case 'clip-agiqa':
    case 'linear': {
      const prompts = createPrompts(clip.text, textual(), settings, words);
      const width = featureWidth * (1 + words.length);
      return new ClipAgiqaLearner(new ClipAgiqa(prompts, headFor(width)), {
        promptsLearn: trainer === 'clip-agiqa',
        terms: parseLoss(settings.loss),
      });
    }
    case 'image-only':
      return new ImageOnlyLearner(trainerOf(featureWidth));
    case 'clip-agiqa-plus': {
      const prompts = createPrompts(clip.text, textual(), settings, words);
      const places = similarityPlaces(clip.config.vision, settings);
      const trainer = trainerOf(featureWidth + places.length * words.length);
      return new ClipAgiqaPlusLearner(prompts, trainer, { places, logitScale: clip.logitScale });
    }
    case 'coop':
      return new CoopLearner(
        createPrompts(clip.text, textual(), settings, words),
        scale.centers,
        clip.logitScale,
      );
    case 'zero-shot':
      return createZeroShot(clip, textual(), settings, scale, words);
  }
}

/** Refuses, before an image is encoded, what {@link createLearner} could not make of these weights and settings. */
export function checkLearner(
  { text: config }: ClipConfig,
  tokenizer: TextIds | null,
  settings: Settings,
  words: readonly string[] = wordsOf(settings),
): void {
  if (usesHead(settings.trainer)) parseLoss(settings.loss);
  checkFeatures(settings);
  if (!tokenizer) return;
  if (!config) throw noTextTower();
  if (usesContext(settings.trainer)) contextPrompts(config, tokenizer, settings, words);
  else {
    checkVocabulary(config, tokenizer);
    tokenizer.tokenize(templatePrompts(settings.template, words), config.contextLength);
  }
}

/** Refuses settings of features that do not go together. */
function checkFeatures(settings: Settings): void {
  const { trainer, crops, featureLength, augment, scaling, members, loss, versions, doubtFolds } = settings;
  const refuse = (what: string, advice: string) => {
    throw new UserError(what, advice);
  };
  if ((crops > 0 || featureLength) && !choosesFeatures(trainer))
    refuse(
      `the trainer ${trainer} takes no ${crops > 0 ? '--crops' : '--feature-length'}`,
      'Use --trainer image-only or --trainer clip-agiqa-plus.',
    );
  const headed = usesHead(trainer) ? parseLoss(loss).map(({ name }) => name) : [];
  if (!choosesFeatures(trainer) && (members > 1 || headed.includes('order') || headed.includes('grades')))
    refuse(
      `the trainer ${trainer} has no ${members > 1 ? '--members' : `--loss ${loss}`}`,
      'Use --trainer image-only or --trainer clip-agiqa-plus.',
    );
  if (headed.includes('order') && (versions === 0 || augment === 'crop'))
    refuse(
      '--loss order compares center crops with those of degraded versions',
      'Add --versions 2 --augment none.',
    );
  if (doubtFolds > 0 && !choosesFeatures(trainer))
    refuse(
      `the trainer ${trainer} has no --doubt-folds`,
      'Use --trainer image-only or --trainer clip-agiqa-plus.',
    );
  if (doubtFolds === 1)
    refuse('--doubt-folds 1 leaves nothing to train on', 'Use at least 2, for example 5.');
  if (versions > 0 && !headed.includes('order'))
    refuse('--versions is for --loss order alone', 'Add a term of it, e.g. --loss 0.3*mse+plcc+order.');
  if (crops > 0 && augment === 'crop')
    refuse('--crops goes beside center crops, not random ones', 'Add --augment none, or omit --crops.');
  if (featureLength && scaling === 'unit')
    refuse(
      '--feature-length and --scaling unit exclude each other: all features would have length 1',
      'Add --scaling standard, or omit --feature-length.',
    );
}

/** Degraded versions of each training image that settings ask for. */
export const versionsOf = ({ trainer, versions }: Settings): number =>
  choosesFeatures(trainer) ? versions : 0;

/** Where CLIP's own features begin in what the learner takes of an image: the resized one's and, behind them all, those of its native crops. */
function similarityPlaces(vision: VisionConfig, settings: Settings): number[] {
  const { width, projected } = visionFeaturePlaces(vision, visionFeature(vision, settings));
  return projected === null ? [] : cropsOf(settings) > 0 ? [projected, width + projected] : [projected];
}

/** Whether a trainer reads the prompts, and so needs a text tower. */
export const usesText = (trainer: string): boolean => trainer !== 'image-only';

/** Whether a trainer has a regression head. */
export const usesHead = (trainer: string): boolean =>
  ['clip-agiqa', 'clip-agiqa-plus', 'linear', 'image-only'].includes(trainer);

/** Whether a trainer has context vectors, learned or fixed. */
export const usesContext = (trainer: string): boolean => usesText(trainer) && trainer !== 'zero-shot';

function createZeroShot(
  clip: Clip,
  tokenizer: TextIds,
  { template, scoreBy }: Settings,
  { centers, range: [low, high] }: MosScale,
  words: readonly string[],
): ZeroShotLearner {
  const { config } = clip.text;
  checkVocabulary(config, tokenizer);
  const scores = (texts: readonly string[], values: Float32Array) => {
    const tokens = tokenizer.tokenize(texts, config.contextLength);
    return new ClassScores(
      scope(() => l2Normalize(clip.encodeTokens(tokens))),
      values,
      clip.logitScale,
    );
  };
  return new ZeroShotLearner(
    {
      words: scores(templatePrompts(template, words), centers),
      antonyms: scores(antonyms, Float32Array.of(high, low)),
    },
    scoreBy,
  );
}

/** The words' prompts, their context random (standard deviation 0.02) or the embeddings of `ctxInit`'s words. */
export function createPrompts(
  text: TextTransformer,
  tokenizer: TextIds,
  settings: Settings,
  words: readonly string[] = wordsOf(settings),
): PromptLearner {
  const { classSpecific, seed } = settings;
  const { initial, nCtx, slots } = contextPrompts(text.config, tokenizer, settings, words);
  const { width } = text.config;
  const sets = classSpecific ? words.length : 1;
  const values = new Float32Array(sets * nCtx * width);
  const shape = classSpecific ? [sets, nCtx, width] : [nCtx, width];
  let ctx: Tensor;
  if (initial.length > 0) {
    const repeated = Uint32Array.from({ length: sets * nCtx }, (_, i) => initial[i % nCtx]!);
    ctx = scope(() => {
      const table = text.parameters.get('token_embedding.weight');
      return gatherRows(table, Tensor.from(table.gpu, repeated)).view(shape);
    });
  } else {
    for (const [i, value] of normals(values.length, seed, streams.context).entries())
      values[i] = contextDeviation * value;
    ctx = Tensor.from(text.parameters.get('positional_embedding').gpu, values, shape);
  }
  return new PromptLearner(text, slots, keep(ctx), { classSpecific });
}

/** The words' prompts with their context: the tokens it starts as, if any, and its length. */
function contextPrompts(
  config: TextConfig,
  tokenizer: TextIds,
  { ctxInit, nCtx, position }: Settings,
  words: readonly string[],
) {
  const initial = ctxInit === '' ? [] : tokenizer.encode(ctxInit.replaceAll('_', ' '));
  const length = initial.length || nCtx;
  return { initial, nCtx: length, slots: qualityPrompts(config, tokenizer, length, position, words) };
}

/** The zero-shot prompts of words. */
export function templatePrompts(template: string, words: readonly string[] = qualityWords): string[] {
  if (!template.includes('{word}'))
    throw new UserError(
      `--template "${template}" has no placeholder for the quality word`,
      'Put {word} where it goes, e.g. "a photo of {word} quality."',
    );
  return words.map((word) => template.replaceAll('{word}', word));
}
