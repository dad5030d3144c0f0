import { realpathSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { ManifestRow } from './manifest.ts';

/** Where a row's image lies, or why it is not looked for. */
export type Located = { readonly file: string } | { readonly error: string };

/**
 * A row's file below a root. A manifest may come from anyone, so nothing leads out: no absolute path, no `..`, and no symbolic link to
 * a place outside.
 *
 * @param root as {@link realRoot} gives it
 */
export function locate(root: string, { path, file = path }: ManifestRow): Located {
  const refused = { error: `${path}: leads out of the folder of images` };
  if (isAbsolute(file) || file.includes('\0')) return refused;
  const place = resolve(root, file);
  if (!isWithin(root, place)) return refused;
  let real: string;
  try {
    real = realpathSync(place);
  } catch {
    return { file: place }; // not there: the reader says so
  }
  return isWithin(root, real) ? { file: real } : refused;
}

/** A root as all that lies in it is compared with. Where there is no such folder nothing lies in it. */
export function realRoot(root: string): string {
  try {
    return realpathSync(root);
  } catch {
    return resolve(root);
  }
}

/** Whether a path is a folder itself or lies in it. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** The deepest folder that all of these lie in, where links lead, too; and each path from there. */
export function commonRoot(paths: readonly string[]): { root: string; files: readonly string[] } {
  let root: string | undefined;
  const places = paths.map((path) => {
    const place = resolve(path);
    let real = place;
    try {
      real = realpathSync(place);
    } catch {
      // An image that is not there becomes an unreadable one.
    }
    for (const at of [join(place, '..'), join(real, '..')])
      while (root === undefined || !isWithin(root, at)) root = root === undefined ? at : join(root, '..');
    return real;
  });
  const top = realRoot(root ?? process.cwd());
  return { root: top, files: places.map((place) => relative(top, place)) };
}
