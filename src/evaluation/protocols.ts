import { UserError } from '../common/errors.ts';
import { type Dataset, groupingOf, type Sample } from '../data/datasets/index.ts';

/** Ways to divide a dataset into images to train on and images to test with. */
export const protocols = {
  published: "the dataset's own split, for comparison with published figures only",
  prompt: 'k folds that share no prompt, no reference image and no scene',
  generator: 'each generator left out in turn',
  within: 'rank correlation inside each generator, in the folds of published and prompt',
  cross: 'train on the dataset, test on another (--cross-data)',
  few: "a few images of each quality class from the dataset's own training set (--shots)",
} as const;

/** What a protocol does on a dataset that is grouped as said. */
export const protocolText = (protocol: Protocol, grouping: string): string =>
  protocols[protocol].replace('generator', grouping);

export type Protocol = keyof typeof protocols;
export const protocolNames = Object.keys(protocols) as Protocol[];

/** Fewer images of a generator than these say nothing of a rank correlation. */
export const fewestImages = 10;

/** By what images are left out as one generator's. */
export type GeneratorUnit = 'whole' | 'settings';

/**
 * Which generator made an image, if that is known. By `settings`, versions of one generator count as several: all of the file's name
 * before its last underscore, such as `sd1.5_lowstep`.
 */
export function generatorOf({ generator, name }: Sample, unit: GeneratorUnit): string | undefined {
  if (unit === 'whole' || generator === undefined) return generator;
  const file = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  return file.slice(0, Math.max(file.lastIndexOf('_'), generator.length));
}

/** Generators with enough images to be tested on, in alphabetical order. */
export function generatorsOf(samples: readonly (Sample | undefined)[], unit: GeneratorUnit): string[] {
  const counts = new Map<string, number>();
  for (const sample of samples) {
    const name = sample && generatorOf(sample, unit);
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count >= fewestImages)
    .map(([name]) => name)
    .sort();
}

/** What can be done with a dataset, and why not the rest. */
export interface Choice {
  readonly chosen: readonly Protocol[];
  readonly refused: readonly { readonly protocol: Protocol; readonly reason: string }[];
}

/**
 * The protocols of a list such as `prompt,generator`, or `all`.
 *
 * @throws UserError for an unknown one, or where none of those asked for can be done
 */
export function chooseProtocols(
  list: string,
  dataset: Dataset,
  {
    folds,
    generators,
    cross,
  }: { readonly folds: number; readonly generators: GeneratorUnit; readonly cross: boolean },
): Choice {
  const wanted = list === 'all' ? protocolNames : list.split(',').map((name) => parseProtocol(name.trim()));
  const samples = usedSamples(dataset).map((at) => dataset.samples[at]!);
  const contents = new Set(samples.flatMap(({ content }) => content ?? []));
  const count = generatorsOf(samples, generators).length;
  const { train, test } = dataset.split;
  const noGenerators = `the dataset does not say the ${groupingOf(dataset)} of its images (${count === 1 ? 'one has' : 'none has'} ${fewestImages} images)`;
  const reasons: Record<Protocol, string | false> = {
    published: (train.length === 0 || test.length === 0) && 'the dataset has no test set of its own',
    prompt:
      contents.size < 2
        ? 'the dataset has no prompts or reference images'
        : contents.size < folds && `${contents.size} prompts make no ${folds} folds (--folds)`,
    generator: count < 2 && noGenerators,
    within: count < 1 && noGenerators,
    cross: !cross && 'no other dataset is named (--cross-data, --cross-root)',
    few: (train.length === 0 || test.length === 0) && 'the dataset has no test set of its own',
  };
  const unique = [...new Set(wanted)];
  const refused = unique.flatMap((protocol) => {
    const reason = reasons[protocol];
    return reason ? [{ protocol, reason }] : [];
  });
  const chosen = unique.filter((protocol) => !reasons[protocol]);
  if (chosen.length === 0)
    throw new UserError(
      refused.map(({ protocol, reason }) => `${protocol}: ${reason}`).join('; '),
      'Choose other --protocols.',
    );
  return { chosen, refused };
}

function parseProtocol(name: string): Protocol {
  if (Object.hasOwn(protocols, name)) return name as Protocol;
  throw new UserError(
    `unknown protocol "${name}"`,
    `Protocols: all, or some of ${protocolNames.join(', ')}.`,
  );
}

/** The images of all parts, by their place in the dataset. */
export const usedSamples = ({ split: { train, val, test } }: Dataset): number[] =>
  [...train, ...val, ...test].sort((a, b) => a - b);
