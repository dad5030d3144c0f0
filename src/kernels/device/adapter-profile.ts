import { environmentVariable } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';

/**
 * How an adapter is to be seen, so that what runs on other machines can be tried on this one. `gpu`: kernels are chosen as on a GPU,
 * also where a processor plays one; `no-…`: as if it lacked that; `default-limits`: with no more than WebGPU promises everywhere
 * (bindings of 128 MiB, 16 KiB of workgroup memory, 256 invocations and 8 storage buffers).
 */
export const profileWords = [
  'gpu',
  'no-subgroups',
  'no-subgroup-size',
  'no-f16',
  'no-timestamps',
  'no-texture-reads',
  'default-limits',
] as const;
export type ProfileWord = (typeof profileWords)[number];

/** Features of WebGPU that the engine can use and an adapter need not have. */
export type OptionalFeature = 'subgroups' | 'subgroup-size-control' | 'shader-f16' | 'timestamp-query';

const masks: Readonly<Record<string, OptionalFeature>> = {
  'no-subgroups': 'subgroups',
  'no-subgroup-size': 'subgroup-size-control',
  'no-f16': 'shader-f16',
  'no-timestamps': 'timestamp-query',
};

/** The environment variable that holds the words, separated by commas. */
export const profileVariable = 'CLIP_AGIQA_ADAPTER_PROFILE';

/** The words of a text, without repetition and in one order; throws a {@link UserError} on any other. */
export function parseProfile(text: string): ProfileWord[] {
  const given = text.split(',').map((word) => word.trim());
  for (const word of given)
    if (word !== '' && !(profileWords as readonly string[]).includes(word))
      throw new UserError(
        `${word} is not part of an adapter profile`,
        `Words, separated by commas: ${profileWords.join(', ')}.`,
      );
  return profileWords.filter((word) => given.includes(word));
}

/** The profile to use: the one given, else the environment's. */
export function adapterProfile(given: readonly ProfileWord[] | undefined): readonly ProfileWord[] {
  if (given) return parseProfile(given.join());
  return parseProfile(environmentVariable(profileVariable) ?? '');
}

/** Whether a profile leaves a feature alone. Without subgroups none has a size. */
export function keepsFeature(profile: readonly ProfileWord[], feature: string): boolean {
  if (feature === 'subgroup-size-control' && profile.includes('no-subgroups')) return false;
  return !profile.some((word) => masks[word] === feature);
}
