import { streams, uniform } from '../../common/random.ts';
import type { DistortionDraw } from './distort.ts';

/** What happens to images on their way to people, of which more is always worse. */
const kinds = ['jpeg', 'blur', 'noise'] as const;

/** From what only a close look shows (JPEG at quality 85, blur of 0.3 pixels, noise of 3 levels) to nearly ruined. */
const [mildest, severest] = [-0.25, 0.85] as const;

/**
 * Degraded versions of an image, each worse than the one before it: of one kind, at severities drawn from as many equal parts of the range. They
 * depend on the image's number alone, so that they are encoded once for all seeds.
 */
export function degradationsOf(image: number, count: number): readonly DistortionDraw[] {
  const name = kinds[image % kinds.length]!;
  return Array.from({ length: count }, (_, version) => {
    const share = (version + uniform(image, streams.degradation, version)) / count;
    return { name, severity: mildest + share * (severest - mildest), seed: image };
  });
}
