import { UserError } from '../common/errors.ts';
import { type ClipConfig, clipDefaults, type TextConfig } from '../model/config.ts';
import type { PretrainingSettings } from './settings.ts';

/** Tokens of a prompt, as CLIP's. */
export const contextLength = 77;

/** The architecture the settings describe: CLIP's, 64 wide a head, QuickGELU. */
export function pretrainingConfig(
  settings: Pick<
    PretrainingSettings,
    'imageSize' | 'patchSize' | 'visionWidth' | 'visionLayers' | 'textWidth' | 'textLayers' | 'embedding'
  >,
  vocabSize: number,
): ClipConfig & { readonly text: TextConfig } {
  const { imageSize, patchSize, embedding } = settings;
  const tower = (name: string, width: number, layers: number) => {
    if (width < 64 || width % 64 !== 0 || layers < 1)
      throw new UserError(
        `${name} of width ${width} with ${layers} blocks`,
        'The width must be a multiple of 64 (the width of a head), with at least one block.',
      );
    const { activation, layerNormEps } = clipDefaults;
    return { width, layers, heads: width / 64, mlpWidth: 4 * width, activation, layerNormEps };
  };
  if (patchSize < 1 || imageSize % patchSize !== 0)
    throw new UserError(`--image-size ${imageSize} is not a multiple of --patch-size ${patchSize}`);
  const { mean, std } = clipDefaults;
  return {
    vision: {
      ...tower('an image tower', settings.visionWidth, settings.visionLayers),
      imageSize,
      patchSize,
      preNorm: true,
      patchBias: false,
      outputWidth: embedding,
      mean,
      std,
    },
    text: {
      ...tower('a text tower', settings.textWidth, settings.textLayers),
      contextLength,
      vocabSize,
      outputWidth: embedding,
    },
  };
}
