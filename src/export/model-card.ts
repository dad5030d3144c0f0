import { basename } from 'node:path';
import { choosesFeatures, cropsOf } from '../features/feature-extractor.ts';
import type { Settings } from '../training/settings.ts';

/** What an exported file says of itself: for people, and by name for programs. Paths of this machine stay out. */
export function modelCard(
  settings: Settings,
  weights: string,
): { readonly description: string; readonly metadata: Readonly<Record<string, string>> } {
  const {
    trainer,
    data,
    target,
    layers,
    pool,
    scaling,
    words: _,
    ...rest
  } = settings as Settings & { words?: unknown };
  const name = basename(weights);
  const description = [
    `Scores the quality of images: CLIP-AGIQA (Tang et al., ICPR 2024, arXiv 2408.15098), trainer ${trainer}.`,
    `Image tower: ${name}. Trained on ${data || 'data that its folder does not name'}${target ? `, score ${target}` : ''}.`,
    'Input "images" holds prepared images, output "score" one number per image, in the units of the mean opinion scores it was trained on.',
    ...(cropsOf(settings) > 0
      ? ['Input "crops" holds squares of each original image, made as the metadata says.']
      : []),
    'Scores rank images like those it was trained on; they do not measure content or truth.',
  ].join('\n');
  return {
    description,
    metadata: {
      trainer,
      ...(choosesFeatures(trainer) ? { layers, pool, scaling } : {}),
      weights: name,
      dataset: data,
      target,
      seed: String(rest.seed),
    },
  };
}
