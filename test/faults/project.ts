import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A path in the project, from a test as from a bundle in dist/. */
export function inProject(path: string): string {
  let folder = new URL('.', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) {
    const parent = new URL('..', folder);
    if (parent.href === folder.href) throw new Error('this is not in the project any more');
    folder = parent;
  }
  return fileURLToPath(new URL(path, folder));
}
