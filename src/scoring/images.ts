import { existsSync, realpathSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { shortened, UserError } from '../common/errors.ts';
import { checkLimit } from '../common/limits.ts';
import { inNaturalOrder } from '../common/natural-order.ts';
import { imageExtensions } from '../data/images/decode.ts';
import { imagesBelow, isImageName } from '../data/images/find.ts';
import { expandGlob, isGlob } from '../data/images/glob.ts';

export interface FoundImages {
  /** In the order in which they were asked for, those of a folder or a pattern in natural order. */
  readonly paths: readonly string[];
  /** Where each really is, links followed. */
  readonly places: readonly string[];
  /** What the folders hold besides, in words; empty where that is nothing. */
  readonly leftOut: string;
}

/**
 * The files given, and the images in the folders given (and below). Each file once, however many names and symbolic links lead
 * to it. In folders, names that begin with a dot are passed over, and links that lead back to a folder above are not followed.
 *
 * @param given files, folders, patterns where there is no such file (`*`, `?`, `[a-z]`, `**`), and `-` for names from `input`
 * @param input names that stand for what they name alone, a line each, or ended by zero bytes
 * @throws UserError if one of those given is not there, or if there are no images
 */
export async function findImages(
  given: readonly string[],
  input: AsyncIterable<string | Uint8Array> = process.stdin,
): Promise<FoundImages> {
  const search = new Search();
  for (const path of given) {
    if (path === '-') for (const name of await namesFrom(input)) search.add(name);
    else if (existsSync(path)) search.add(path);
    else if (isGlob(path)) addMatches(search, path);
    else throw new UserError(`${path}: no such file or folder`);
  }
  const found = { paths: search.paths, places: [...search.seen], leftOut: search.leftOut };
  if (found.paths.length > 0) return found;
  const also = found.leftOut === '' ? '' : `; left out: ${found.leftOut}`;
  throw new UserError(
    `no images in ${given.join(', ')}${also}`,
    `Looked for ${[...imageExtensions].join(', ')}.`,
  );
}

function addMatches(search: Search, pattern: string): void {
  const found = expandGlob(pattern);
  if (found.length === 0) throw new UserError(`${pattern}: no file or folder matches`);
  for (const path of found) {
    if (isImageName(path) || isFolder(path)) search.add(path);
    else search.leave(path);
  }
}

class Search {
  readonly paths: string[] = [];
  /** Where the files really are, in the order of `paths`. */
  readonly seen = new Set<string>();
  readonly #others = new Map<string, number>();
  #hidden = 0;
  #repeated = 0;

  /** A file as it is, whether there is one or not, or the images in a folder. */
  add(path: string): void {
    if (!isFolder(path)) {
      this.#take(path, realPlace(path));
      return;
    }
    const images = imagesBelow(path, (name, why) => {
      if (why === 'hidden') this.#hidden++;
      else this.leave(name);
    });
    const places = new Map(images);
    for (const name of inNaturalOrder([...places.keys()])) this.#take(join(path, name), places.get(name)!);
  }

  leave(name: string): void {
    const kind = shortened(extname(name).toLowerCase(), 20) || 'no extension';
    this.#others.set(kind, (this.#others.get(kind) ?? 0) + 1);
  }

  get leftOut(): string {
    const kinds = [...this.#others].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    const count = kinds.reduce((sum, [, n]) => sum + n, 0);
    const listed = kinds.slice(0, 8).map(([kind, n]) => `${kind} ${n}`);
    const shown = kinds.length > 8 ? [...listed, '…'] : listed;
    return [
      count > 0
        ? `${count} that ${count === 1 ? 'is not an image' : 'are not images'} (${shown.join(', ')})`
        : '',
      this.#hidden > 0 ? `${this.#hidden} hidden` : '',
      this.#repeated > 0 ? `${this.#repeated} listed already` : '',
    ]
      .filter((part) => part !== '')
      .join(', ');
  }

  #take(path: string, place: string): void {
    if (this.seen.has(place)) {
      this.#repeated++;
      return;
    }
    this.seen.add(place);
    this.paths.push(path);
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** A file that is not there is itself, and becomes an unreadable image. */
function realPlace(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Names from standard input: ended by zero bytes where there is one (`find -print0`), else a line each. */
async function namesFrom(input: AsyncIterable<string | Uint8Array>): Promise<string[]> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of input) {
    parts.push(Buffer.from(part));
    size += part.length;
    checkLimit('csvBytes', size, (bytes) => `the list of images on standard input has ${bytes} bytes`);
  }
  const text = Buffer.concat(parts).toString();
  return text.split(text.includes('\0') ? '\0' : /\r?\n/).filter((name) => name !== '');
}
