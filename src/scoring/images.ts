import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { imageExtensions } from '../data/images/decode.ts';
import { imagesBelow } from '../data/images/find.ts';

/**
 * The files given, and the images in the folders given (and below), sorted within a folder. Each file once, however many
 * symbolic links lead to it. In folders, names that begin with a dot are passed over, and links that lead back to a folder
 * above are not followed.
 */
export function findImages(paths: readonly string[]): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const add = (path: string, place: string) => {
    if (seen.has(place)) return;
    seen.add(place);
    found.push(path);
  };
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new UserError(`${path}: no such file or folder`);
    if (!stat.isDirectory()) add(path, realpathSync(path));
    else
      for (const [name, place] of imagesBelow(path).sort(([a], [b]) => (a < b ? -1 : 1)))
        add(join(path, name), place);
  }
  if (found.length === 0)
    throw new UserError(`no images in ${paths.join(', ')}`, `Looked for ${[...imageExtensions].join(', ')}.`);
  return found;
}
