import { UserError } from '../common/errors.ts';
import { encodeTexts } from '../features/text-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import { type AntonymPair, pairName, pairPrompts } from './antonyms.ts';

/** A pair with the features of its texts, of unit length. */
export interface PairTexts {
  readonly name: string;
  readonly texts: readonly [Float32Array, Float32Array];
}

/** Encodes the texts of pairs. Throws `UserError` where one was given twice. */
export async function encodePairs(
  gpu: Gpu,
  settings: Settings,
  pairs: readonly AntonymPair[],
): Promise<readonly PairTexts[]> {
  const names = pairs.map(pairName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`the pair ${twice} was given twice`);
  if (pairs.length === 0) return [];
  const texts = pairs.flatMap(pairPrompts);
  const { features } = await encodeTexts(gpu, settings.weights, texts, clipOptions(settings));
  return names.map((name, i) => ({ name, texts: [features[2 * i]!, features[2 * i + 1]!] }));
}
