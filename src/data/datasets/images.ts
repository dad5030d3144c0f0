import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { imagesBelow } from '../images/find.ts';
import type { Label } from './dataset.ts';

/**
 * The file of each label's image: in its folder below the root, beside the root's files, or, where neither has
 * it, the only image of that name in any sub-folder, whatever the case (TID2013's names and files differ in it). `undefined`
 * where there is none.
 */
export async function locateImages(root: string, labels: readonly Label[]): Promise<(string | undefined)[]> {
  let byName: Map<string, string[]> | undefined;
  const paths: (string | undefined)[] = [];
  for (const { name, folder } of labels) {
    const near = [resolve(root, folder ?? '', name), resolve(root, name)].find((path) => existsSync(path));
    if (near !== undefined) {
      paths.push(near);
      continue;
    }
    byName ??= indexImages(root);
    const alike = byName.get(basename(name).toLowerCase()) ?? [];
    const same = alike.filter((path) => basename(path) === basename(name));
    const found = same.length > 0 ? same : alike;
    if (found.length > 1)
      throw new UserError(
        `${root}: image ${name} exists more than once: ${found.slice(0, 3).join(', ')}`,
        'Remove the copies, or include the folder in the names of the label file.',
      );
    paths.push(found[0] === undefined ? undefined : join(root, found[0]));
  }
  return paths;
}

/** Paths, from the root, of all images below it, by file name in lower case: each file once, whatever links lead to it. */
function indexImages(root: string): Map<string, string[]> {
  const byName = new Map<string, string[]>();
  if (!existsSync(root)) return byName;
  const seen = new Set<string>();
  for (const [path, place] of imagesBelow(root).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (seen.has(place)) continue;
    seen.add(place);
    const name = basename(path).toLowerCase();
    const paths = byName.get(name);
    if (paths) paths.push(path);
    else byName.set(name, [path]);
  }
  return byName;
}
