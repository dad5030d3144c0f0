import { environmentVariable } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';

/**
 * Which of several adapters Dawn is to take. It takes a part of a name, the first adapter whose name has it, and says what there is
 * only when none has. So a number is turned into the name at that place, and two adapters of one name cannot be told apart.
 */

/** The environment variable that names an adapter. */
export const adapterVariable = 'CLIP_AGIQA_ADAPTER';

/** What no adapter is called. */
const nobody = '<none of them>';

/** The adapter asked for: what is given, else the environment's; undefined for Dawn's own choice. */
export function adapterAskedFor(given: string | undefined): string | undefined {
  return given ?? environmentVariable(adapterVariable);
}

/**
 * What to pass to Dawn for a name or a number.
 *
 * @param request asks Dawn for an adapter of that name, which fails with the list of all where there is none
 * @throws UserError where there is no such adapter, or another of the same name is in the way
 */
export async function adapterName(
  asked: string,
  request: (name: string) => Promise<GPUAdapter | null>,
): Promise<string> {
  const names = await request(nobody).then(
    () => [],
    (error: unknown) => listedNames(error),
  );
  return pickAdapter(asked, names);
}

/** The names in Dawn's message that no adapter fits. */
export function listedNames(error: unknown): string[] {
  const text = error instanceof Error ? error.message : String(error);
  return [...text.matchAll(/^ \* backend: '[^']*', name: '(.*)'$/gm)].map(([, name]) => name!);
}

/** The name to pass to Dawn, of those there are. */
export function pickAdapter(asked: string, names: readonly string[]): string {
  // A number that there is none of may be part of a name: 4090.
  const byNumber = /^\d+$/.test(asked) && Number(asked) < names.length;
  const at = byNumber ? Number(asked) : names.findIndex((name) => holds(name, asked));
  const name = names[at];
  if (name === undefined)
    throw new UserError(
      `there is no adapter ${asked}`,
      names.length === 0
        ? 'None was found at all: run `npx clip-agiqa-webgpu setup` (in a clone: `npm run setup`).'
        : `There are: ${names.map((other, i) => `${i} ${other}`).join(', ')}. Pass a number, a name, or part of one.`,
    );
  const first = names.findIndex((other) => other.includes(name));
  if (first !== at)
    throw new UserError(
      `adapter ${at} (${name}) cannot be told from adapter ${first} (${names[first]}) by its name`,
      'Show the process one of them only: NVIDIA_VISIBLE_DEVICES in a container, or DRI_PRIME=pci-DOMAIN_BUS_DEVICE_FUNCTION! on a host with Mesa drivers.',
    );
  return name;
}

const holds = (name: string, part: string) => name.toLowerCase().includes(part.toLowerCase());
