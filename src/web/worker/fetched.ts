import { UserError } from '../../common/errors.ts';

/** A file beside the page. @throws UserError where it cannot be had */
export async function fetched(path: string): Promise<Response> {
  const response = await fetch(path).catch((cause: unknown) => {
    throw new UserError(`${path} could not be loaded`, 'Reload the page once the server can be reached.', {
      cause,
    });
  });
  if (!response.ok)
    throw new UserError(`${path} could not be loaded (${response.status})`, 'Reload the page.');
  return response;
}
