import { UserError } from '../common/errors.ts';
import { limit } from '../common/limits.ts';
import { isImageName } from '../data/images/find.ts';
import { optional } from './optional.ts';
import { streamOf } from './source.ts';

/** An image of a tar. */
export interface TarImage {
  /** The member's name. */
  readonly name: string;
  /** None of one that is larger than an image may be. */
  readonly bytes: Uint8Array | null;
}

/** The images of a tar, a file or an object, in its order, as WebDataset and img2dataset write them; other members are passed over. One at a time is in memory. */
export async function* tarImages(
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<TarImage, void, undefined> {
  const { extract } = await optional('tar-stream', 'a tar', () => import('tar-stream'));
  const members = extract();
  const source = streamOf(path, signal);
  source.on('error', (error) => members.destroy(error));
  source.pipe(members);
  try {
    for await (const member of members) {
      const { name, type, size = 0 } = member.header;
      const wanted = type === 'file' && isImageName(name) && size <= limit('imageBytes');
      if (!wanted) {
        member.resume();
        if (type === 'file' && isImageName(name)) yield { name, bytes: null };
        continue;
      }
      const pieces: Uint8Array[] = [];
      for await (const piece of member) pieces.push(piece as Uint8Array);
      yield { name, bytes: Buffer.concat(pieces) };
    }
  } catch (error) {
    if (error instanceof UserError || (signal?.aborted && error === signal.reason)) throw error;
    throw new UserError(`${path}: ${(error as Error).message}`, 'The tar is damaged; copy it again.', {
      cause: error,
    });
  } finally {
    source.destroy();
  }
}

/** The most names that a pattern may stand for. */
const mostNames = 1_000_000;

/** Names with ranges in braces, as WebDataset writes them: `data-{00000..00999}.tar`; zeros in front stay. */
export function expandRanges(pattern: string): string[] {
  const found = /\{(\d{1,12})\.\.(\d{1,12})\}/.exec(pattern);
  if (!found) return [pattern];
  const [range, first, last] = found as unknown as [string, string, string];
  const count = Number(last) - Number(first) + 1;
  if (!(count >= 1 && count <= mostNames))
    throw new UserError(`${pattern}: ${range} is no range of 1 to ${mostNames} numbers`);
  const [before, after] = [pattern.slice(0, found.index), pattern.slice(found.index + range.length)];
  const width = first.length === last.length || first.startsWith('0') ? first.length : 0;
  return Array.from(
    { length: count },
    (_, i) => `${before}${String(Number(first) + i).padStart(width, '0')}`,
  ).flatMap((start) => expandRanges(after).map((end) => start + end));
}
