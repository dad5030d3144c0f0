import { type Dirent, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { inNaturalOrder } from '../../common/natural-order.ts';

/** Whether a path has one of the characters that {@link expandGlob} gives a meaning. */
export const isGlob = (path: string): boolean => /[*?[]/.test(path);

/**
 * Files and folders that a pattern names, as a shell would: `*` and `?` within a name, `[a-z]` and `[!a-z]` for one character,
 * `**` for any folders between. None of them stands for a dot at the beginning of a name. What cannot be read is passed over.
 */
export function expandGlob(pattern: string): string[] {
  const parts = pattern.split(process.platform === 'win32' ? /[/\\]/ : '/');
  // An absolute path begins with an empty part; a drive is one without magic.
  const root = parts[0] === '' ? '/' : '';
  return inNaturalOrder([...new Set(matches(root, root === '' ? parts : parts.slice(1)))]);
}

/** Whether a path is one that a pattern names, by its text alone: for names that lie in no folder of this machine. */
export function matchesGlob(pattern: string, path: string): boolean {
  const match = ([part, ...parts]: readonly string[], names: readonly string[]): boolean => {
    const [name, ...rest] = names;
    if (part === undefined) return name === undefined;
    if (part === '**')
      return (
        match(parts, names) || (rest.length > 0 && !name!.startsWith('.') && match([part, ...parts], rest))
      );
    if (name === undefined) return false;
    const fits = isGlob(part)
      ? regularExpression(part).test(name) && (!name.startsWith('.') || part.startsWith('.'))
      : part === name;
    return fits && match(parts, rest);
  };
  return match(pattern.split('/'), path.split('/'));
}

function matches(folder: string, parts: readonly string[]): string[] {
  const [part, ...rest] = parts;
  if (part === undefined) return [folder];
  // As at the end of `folder/`.
  if (part === '') return matches(folder, rest);
  if (part === '**') return [folder, ...foldersBelow(folder)].flatMap((each) => matches(each, rest));
  if (!isGlob(part)) {
    const path = join(folder, part);
    return existsSync(path) ? matches(path, rest) : [];
  }
  const name = regularExpression(part);
  return entries(folder)
    .filter((entry) => name.test(entry.name) && (!entry.name.startsWith('.') || part.startsWith('.')))
    .flatMap((entry) => matches(join(folder, entry.name), rest));
}

/** All folders below one but hidden ones; links are not followed, since they may lead back. */
function foldersBelow(folder: string): string[] {
  return entries(folder)
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap(({ name }) => [join(folder, name), ...foldersBelow(join(folder, name))]);
}

function entries(folder: string): Dirent[] {
  try {
    return readdirSync(folder === '' ? '.' : folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function regularExpression(part: string): RegExp {
  const source = part.replace(/\[(!?)([^\]]+)\]|[*?]|[^*?[]+|\[/g, (token, not?: string, set?: string) => {
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\^\]]/g, '\\$&')}]`;
    if (token === '*') return '.*';
    if (token === '?') return '.';
    return token.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    throw new UserError(`${part}: is not a pattern`, 'A range goes upward: [a-z].');
  }
}
