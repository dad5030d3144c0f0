import { UserError } from '../common/errors.ts';
import { cosineToUnit } from '../features/cosine.ts';

/** Two texts that say the opposite of an image, the first one what a high value stands for. */
export type AntonymPair = readonly [positive: string, negative: string];

/** A pair as a command line has it: two texts with | between them. */
export function parsePair(text: string): AntonymPair {
  const [positive = '', negative = '', ...more] = text.split('|').map((part) => part.trim());
  if (positive === '' || negative === '' || more.length > 0)
    throw new UserError(
      `--pairs takes two texts with | between them, not "${text}"`,
      'For example, --pairs "sharp|blurry". Repeat the option for more pairs.',
    );
  return [positive, negative];
}

/** What a pair's values are called: its texts as they were given. */
export const pairName = ([positive, negative]: AntonymPair): string => `${positive}|${negative}`;

/** A pair's prompts: a single word stands in CLIP-IQA's template, "sharp photo."; anything longer is taken as it is. */
export const pairPrompts = (pair: AntonymPair): readonly [string, string] => {
  const [positive, negative] = pair.map((text) => (/^\S+$/.test(text) ? `${text} photo.` : text));
  return [positive!, negative!];
};

/**
 * How much more an image is like the first text of a pair than like the second, from 0 to 1: softmax of the two logits
 * exp(logit_scale) · cosine, which is the logistic function of their difference.
 *
 * @param feature the image's [E], of any length
 * @param texts the texts' [E], of unit length
 */
export function pairProbability(
  feature: Float32Array,
  [positive, negative]: readonly [Float32Array, Float32Array],
  logitScale: number,
): number {
  const difference = logitScale * (cosineToUnit(feature, positive) - cosineToUnit(feature, negative));
  return 1 / (1 + Math.exp(-difference));
}
