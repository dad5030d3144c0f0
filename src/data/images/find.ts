import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join, resolve, sep } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { imageExtensions } from './decode.ts';

/** Whether a file is taken for an image: by its extension alone, which is all that a folder tells without reading it. */
export const isImageName = (name: string): boolean => imageExtensions.has(extname(name).toLowerCase());

/**
 * The images below a folder, by their extension: their path from it, and where they really lie. Names that begin with a dot are
 * passed over; links are followed, but each folder is entered once.
 *
 * @param passedOver hears of everything else: files of other kinds, and hidden files and folders
 * @throws UserError if a folder cannot be read
 */
export function imagesBelow(
  root: string,
  passedOver: (name: string, why: 'hidden' | 'other') => void = () => {},
): [name: string, place: string][] {
  const images: [string, string][] = [];
  // Each folder once: a few links to folders of links would otherwise lead on without end.
  const entered = new Set<string>();
  const walk = (folder: string, place: string) => {
    entered.add(place);
    for (const entry of entriesOf(join(root, folder))) {
      const name = join(folder, entry.name);
      if (entry.name.startsWith('.')) {
        passedOver(name, 'hidden');
        continue;
      }
      const real = entry.isSymbolicLink() ? realPlace(join(root, name)) : join(place, entry.name);
      if (isFolder(entry, join(root, name))) {
        if (!entered.has(real) && !isAbove(real, place)) walk(name, real);
      } else if (isImageName(entry.name)) images.push([name, real]);
      else passedOver(name, 'other');
    }
  };
  walk('', realpathSync(root));
  return images;
}

/** Whether a folder holds another, at any depth. */
const isAbove = (folder: string, other: string) =>
  other.startsWith(folder.endsWith(sep) ? folder : folder + sep);

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw new UserError(
      `${folder}: cannot be read (${(error as NodeJS.ErrnoException).code})`,
      'Check its permissions, or leave it out.',
      { cause: error },
    );
  }
}

function isFolder(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** A link that leads nowhere is itself, and becomes an unreadable image. */
function realPlace(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
