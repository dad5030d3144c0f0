import type { Reporter } from '../common/reporter.ts';
import type { Sample } from '../data/datasets/index.ts';
import { decoderId } from '../data/images/decode.ts';
import { ImageLoader } from '../data/images/loader.ts';
import { openFeatureCache } from './feature-cache.ts';

/** Images are compared as thumbnails of this side, center crops as the image tower sees them. */
const side = 16;
const width = side * side * 3;

/**
 * How far thumbnails of near duplicates may differ, of 255: on average and at most. Of 50 images of AGIQA-3K a JPEG of quality 20 differs
 * from its original by at most 1.93 and 7, one of half the size by 1.04 and 7; of all its 2,982 images these bounds find the nine groups that are
 * the same to the eye, and no others.
 */
const nearMean = 2;
const nearMost = 16;

/** Thumbnails read from the cache at once. */
const chunk = 256;

/**
 * Which images are the same, or nearly so, as after another compression: found by thumbnails of their decoded pixels, which are
 * kept in the feature cache, so that the next time only the files are read.
 *
 * @param options.cache a `--cache` setting
 * @returns by position in `samples` a number that near duplicates share; unread and unreadable ones have a number of their own
 */
export async function nearDuplicates(
  samples: readonly Sample[],
  used: readonly number[],
  {
    cache: setting,
    reporter,
    signal,
  }: { readonly cache: string; readonly reporter: Reporter; readonly signal?: AbortSignal | undefined },
): Promise<Int32Array> {
  const thumbnails = new Map<number, Float32Array>();
  const cache = await openFeatureCache(setting, { width });
  const loader = new ImageLoader();
  const keyOf = (hash: string) => `thumbnail ${side} ${decoderId} ${hash}`;
  const known: { readonly at: number; readonly key: string }[] = [];
  const bar = reporter.bar('comparing images', used.length);
  try {
    const jobs = used.map((at) => ({
      path: samples[at]!.path,
      size: side,
      transform: { kind: 'test' } as const,
    }));
    const wanted = cache ? (_: unknown, hash: string) => !cache.has(keyOf(hash)) : undefined;
    for await (const loaded of loader.load(jobs, wanted)) {
      signal?.throwIfAborted();
      const at = used[loaded.index]!;
      bar.advance();
      // One that cannot be read is reported when it is encoded.
      if ('error' in loaded) continue;
      if ('known' in loaded) known.push({ at, key: keyOf(loaded.known) });
      else {
        const values = Float32Array.from(loaded.pixels);
        thumbnails.set(at, values);
        if (loaded.hash !== undefined) cache?.put(keyOf(loaded.hash), values);
      }
    }
    await cache?.flush();
    for (let from = 0; from < known.length; from += chunk) {
      const part = known.slice(from, from + chunk);
      const found = await cache!.get(part.map(({ key }) => key));
      for (const [i, { at }] of part.entries()) if (found[i]) thumbnails.set(at, found[i]);
    }
  } finally {
    bar.stop();
    await loader.close();
    await cache?.close();
  }
  return groupsOf(samples.length, thumbnails);
}

/** Numbers that samples with nearly the same thumbnail share. */
export function groupsOf(count: number, thumbnails: ReadonlyMap<number, Float32Array>): Int32Array {
  const groups = Int32Array.from({ length: count }, (_, at) => at);
  const root = (at: number): number => {
    while (groups[at] !== at) at = groups[at] = groups[groups[at]!]!;
    return at;
  };
  // Thumbnails that differ little on average have means that differ as little.
  const byMean = [...thumbnails]
    .map(([at, values]) => ({
      at,
      values,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    }))
    .sort((a, b) => a.mean - b.mean || a.at - b.at);
  for (const [i, one] of byMean.entries())
    for (let j = i + 1; j < byMean.length && byMean[j]!.mean - one.mean <= nearMean; j++) {
      const other = byMean[j]!;
      if (!isNear(one.values, other.values)) continue;
      const [a, b] = [root(one.at), root(other.at)];
      groups[Math.max(a, b)] = Math.min(a, b);
    }
  return groups.map((_, at) => root(at));
}

function isNear(a: Float32Array, b: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    sum += difference;
    if (difference > nearMost || sum > nearMean * a.length) return false;
  }
  return true;
}
