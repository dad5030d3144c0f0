import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { ManifestRow } from './manifest.ts';
import { isS3, isWithinS3, parseS3, s3Folder } from './s3/s3-url.ts';

/** Where a row's image lies, a path or an `s3://` URL, or why it is not looked for. */
export type Located = { readonly file: string } | { readonly error: string };

/**
 * A row's file below a root. A manifest may come from anyone, so nothing leads out: no absolute path, no `..`, no symbolic link to a
 * place outside, and of a bucket no other bucket or prefix.
 *
 * @param root as {@link realRoot} gives it
 * @param folders where folders really are, for calls that come soon after one another
 */
export function locate(
  root: string,
  { path, file = path }: ManifestRow,
  folders = new Map<string, string>(),
): Located {
  const refused = { error: `${path}: leads out of the folder of images` };
  if (isS3(root)) return locateObject(root, file) ?? refused;
  if (isAbsolute(file) || file.includes('\0')) return refused;
  const place = resolve(root, file);
  if (!isWithin(root, place)) return refused;
  let real: string;
  try {
    real = realPlace(place, folders);
  } catch {
    return { file: place }; // not there: the reader says so
  }
  return isWithin(root, real) ? { file: real } : refused;
}

/** As realpath gives it, which looks at every folder on the way again for every file of one folder. */
function realPlace(place: string, folders: Map<string, string>): string {
  if (lstatSync(place).isSymbolicLink()) return realpathSync(place);
  const folder = dirname(place);
  let real = folders.get(folder);
  if (real === undefined) folders.set(folder, (real = realpathSync(folder)));
  return real + sep + basename(place);
}

function locateObject(root: string, file: string): Located | undefined {
  if (file.startsWith('/')) return undefined;
  const url = isS3(file) ? file : `${root}/${file}`;
  try {
    parseS3(url);
  } catch {
    return undefined;
  }
  return isWithin(root, url) ? { file: url } : undefined;
}

/** A root as all that lies in it is compared with; of one that is not there, as it would be. */
export function realRoot(root: string): string {
  if (isS3(root)) return s3Folder(root);
  const path = resolve(root);
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realRoot(above), basename(path));
  }
}

/** A part that goes up. */
const dots = /(^|[\\/])\.\.([\\/]|$)/;

/** Whether a path is a folder itself or lies in it; no bucket lies in a folder, and no folder in a bucket. */
export function isWithin(folder: string, path: string): boolean {
  if (isS3(folder) || isS3(path)) return isS3(folder) && isWithinS3(folder, path);
  // Most that are compared lie in it; the rest is for `..`, other spellings, and drives.
  if (path.startsWith(folder) && path[folder.length] === sep && !dots.test(path)) return true;
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** The deepest folder that all of these lie in, where links lead, too; and each path from there. `places`: where they really are. */
export function commonRoot(
  paths: readonly string[],
  places: readonly string[],
): { root: string; files: readonly string[] } {
  let root: string | undefined;
  for (const [i, path] of paths.entries())
    for (const at of [dirname(resolve(path)), dirname(places[i]!)])
      while (root === undefined || !isWithin(root, at)) root = root === undefined ? at : dirname(root);
  const top = realRoot(root ?? process.cwd());
  return { root: top, files: places.map((place) => relative(top, place)) };
}
