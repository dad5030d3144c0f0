import { type Command, Option } from 'commander';
import { UserError } from '../common/errors.ts';
import { type Cover, covers } from '../explain/regions.ts';
import type { ExplainRun } from './explain-run.ts';
import { countOption } from './numbers.ts';

/** Options of commands that explain scores. */
export interface ExplainFlags {
  explain?: string;
  explainLimit?: number;
  explainCheck?: number;
  explainCover?: Cover;
  exif?: boolean;
}

const defaultLimit = 24;
const defaultPermutations = 8;

export function addExplainOptions(command: Command): Command {
  return command
    .option(
      '--explain <dir>',
      'also write why: explain.html with the parts that raise and lower each score, curves over distortions, explain.json, curves.csv',
    )
    .option(
      '--explain-limit <n>',
      `with --explain: most images to explain, evenly spread by score (default: ${defaultLimit})`,
      countOption('--explain-limit'),
    )
    .addOption(
      new Option(
        '--explain-check [permutations]',
        `with --explain: how well each kind of map agrees with Shapley values, from so many permutations of the regions (default: ${defaultPermutations})`,
      )
        .preset(String(defaultPermutations))
        .argParser(countOption('--explain-check')),
    )
    .addOption(
      new Option(
        '--explain-cover <what>',
        'with --explain: what hidden regions show, the mean color or a blur (default: mean)',
      ).choices(Object.keys(covers)),
    );
}

/** Refuses options that do not go together. */
export function checkExplainFlags(
  flags: ExplainFlags & { readonly out?: string; readonly exif?: boolean },
): void {
  const { explain, explainLimit, explainCheck, explainCover, out } = flags;
  if (explain === undefined) {
    const given = Object.entries({ explainLimit, explainCheck, explainCover }).find(
      ([, value]) => value !== undefined,
    );
    if (given)
      throw new UserError(
        `--${given[0].replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)} is for explanations`,
        'Add --explain DIR.',
      );
    return;
  }
  if (out !== undefined)
    throw new UserError(
      '--out works through shards, which are not explained',
      'Use --explain without --out.',
    );
  if (explainCheck !== undefined && (explainCheck % 2 !== 0 || explainCheck < 4))
    throw new UserError(
      `--explain-check takes an even number of permutations, at least 4, not ${explainCheck}`,
      'Each comes with its reverse, and two pairs tell how well the estimate is known.',
    );
}

/** What the options say of an explanation into `folder`. */
export const explainFlagsOf = (
  { explainLimit, explainCheck, explainCover, exif }: ExplainFlags,
  folder: string,
): Pick<ExplainRun, 'folder' | 'limit' | 'cover' | 'permutations' | 'exif'> => ({
  folder,
  limit: explainLimit ?? defaultLimit,
  cover: explainCover ?? 'mean',
  permutations: explainCheck ?? 0,
  exif,
});
