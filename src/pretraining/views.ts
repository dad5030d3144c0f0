import { streams, uniform } from '../common/random.ts';
import { classOf } from '../data/datasets/splits.ts';
import { distortionNames } from '../data/images/distort.ts';
import type { ImageJob } from '../data/images/loader.ts';
import { qualityWords } from '../model/agiqa.ts';
import type { Pair } from './pairs.ts';
import type { PretrainingSettings } from './settings.ts';

/** A view of a pair: how its image is cropped and distorted, how good it still is, and its caption. */
export interface View {
  readonly job: ImageJob;
  readonly caption: string;
  /** 0 the worst to 1 the best of the dataset, after the damage; null where the pair has no score. */
  readonly quality: number | null;
}

/** What a distortion looks like, in a caption. The embedded model was trained on these words: their spelling is data. */
const damages: Readonly<Record<string, string>> = {
  jpeg: 'compression artefacts',
  blur: 'blur',
  noise: 'noise',
  banding: 'colour banding',
  resample: 'pixelation',
  color: 'a colour cast',
  blocks: 'blocks',
};
const degrees = ['slight', 'strong', 'extreme'] as const;

/**
 * The views of all pairs, pair by pair; each depends on seed, pair and view alone. A view is a random crop and flip;
 * some are distorted with a severity s drawn uniformly from 0 to 1, which leaves 1 − s of the quality.
 */
export function drawViews(
  pairs: readonly Pair[],
  thresholds: readonly number[],
  settings: Pick<PretrainingSettings, 'views' | 'minArea' | 'distorted' | 'caption' | 'imageSize' | 'seed'>,
): View[] {
  const { views, minArea, distorted, imageSize, seed } = settings;
  const templates = settings.caption.split('|').map((template) => template.trim());
  return pairs.flatMap((pair, index) =>
    Array.from({ length: views }, (_, epoch) => {
      const at = index * views + epoch;
      const draw = (i: number) => uniform(seed, streams.distortion, 4 * at + i);
      const isDistorted = draw(0) < distorted;
      const name = distortionNames[Math.floor(draw(1) * distortionNames.length)]!;
      const severity = isDistorted ? draw(2) : 0;
      const quality = pair.quality === null ? null : pair.quality * (1 - severity);
      const damage = isDistorted
        ? `, with ${degrees[Math.floor(severity * degrees.length)]} ${damages[name]}`
        : '';
      const word = quality === null ? '' : qualityWords[classOf(quality, thresholds)]!;
      return {
        job: {
          path: pair.path,
          size: imageSize,
          transform: { kind: 'crop', seed, epoch, index, minArea },
          ...(isDistorted ? { distortion: { name, severity, seed: seed * 65_536 + at } } : {}),
        },
        caption: fillTemplate(templates[epoch % templates.length]!, {
          text: pair.text,
          generator: pair.generator,
          quality: word,
          damage,
        }),
        quality,
      } satisfies View;
    }),
  );
}

/** The template with its {placeholders} filled; those that are unknown stay as they are. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
