import { UserError } from '../common/errors.ts';

/**
 * A package that one feature alone needs, and that npm does not install by itself.
 *
 * @param load `() => import('name')`
 * @throws UserError that says how to install it
 */
export async function optional<T>(name: string, what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError(`${what} needs the package ${name}`, `Install it: npm install ${name}`);
  }
}
