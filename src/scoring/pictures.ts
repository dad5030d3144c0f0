import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { pictureExtensions } from '../data/image.ts';

/** The files given, and the pictures in the folders given (and below), sorted within a folder. */
export function findPictures(paths: readonly string[]): string[] {
  const found: string[] = [];
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new UserError(`${path}: there is no such file or folder`);
    if (!stat.isDirectory()) {
      found.push(path);
      continue;
    }
    const inside = readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => pictureExtensions.has(extname(name).toLowerCase()))
      .sort();
    found.push(...inside.map((name) => join(path, name)));
  }
  if (found.length === 0)
    throw new UserError(
      `no pictures in ${paths.join(', ')}`,
      `Looked for ${[...pictureExtensions].join(', ')}.`,
    );
  return found;
}
