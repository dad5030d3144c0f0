import type { Reporter } from '../common/reporter.ts';
import { trainedAndHeld } from '../data/datasets/duplicates.ts';
import type { Dataset } from '../data/datasets/index.ts';
import type { Settings } from './settings.ts';

/** Says what a run is about to learn from, and what of it will make its figures undefined or too good. */
export async function describeData(dataset: Dataset, settings: Settings, reporter: Reporter): Promise<void> {
  const { target, range, samples, split, notes, classNames } = dataset;
  const used = [split.train, split.val, split.test].reduce((sum, part) => sum + part.length, 0);
  const count = used < samples.length ? `${used} of ${samples.length}` : String(used);
  if (classNames)
    reporter.line(`classes    ${target}: ${classNames.length} (${listed(classNames, 8)}), ${count} images`);
  else reporter.line(`scores     ${target}, ${range.join(' to ')}, ${count} images`);
  for (const note of notes) reporter.line(`note       ${note}`);
  const warnings = classNames ? classWarnings(dataset, classNames) : scoreWarnings(dataset);
  for (const warning of [
    ...warnings,
    ...promptWarnings(dataset),
    ...(await twinWarnings(dataset)),
    ...settingWarnings(settings),
  ])
    reporter.line(`warning    ${warning}`);
}

/** Scores that leave correlations undefined. */
function scoreWarnings({ samples, split, range }: Dataset): string[] {
  const isConstant = (part: Int32Array) => part.every((at) => samples[at]!.mos === samples[part[0]!]!.mos);
  if (range[0] === range[1])
    return ['all scores are equal: there is nothing to learn, and correlations are undefined'];
  if (split.test.length === 1) return ['the test set is a single image: correlations are undefined'];
  if (split.test.length > 0 && isConstant(split.test))
    return ['all test scores are equal: correlations are undefined'];
  return [];
}

/** Classes without a training image are never learned. */
function classWarnings({ samples, split }: Dataset, classNames: readonly string[]): string[] {
  const seen = new Set(Array.from(split.train, (at) => samples[at]!.mos));
  const unseen = classNames.filter((_, at) => !seen.has(at));
  return unseen.length > 0 ? [`there is no training image of ${listed(unseen, 8)}`] : [];
}

/** Images of a prompt that is trained on are no test of other prompts. */
function promptWarnings({ samples, split }: Dataset): string[] {
  const contents = new Set(Array.from(split.train, (at) => samples[at]!.content));
  const held = [...split.test, ...split.val];
  const shared = held.filter((at) => {
    const { content } = samples[at]!;
    return content !== undefined && contents.has(content);
  });
  if (shared.length === 0) return [];
  return [
    `${shared.length} of ${held.length} test and validation images share their prompt with a training image: figures on unseen prompts are lower (measure them with \`evaluate\`)`,
  ];
}

async function twinWarnings(dataset: Dataset): Promise<string[]> {
  const { samples } = dataset;
  const twins = await trainedAndHeld(dataset);
  if (twins.length === 0) return [];
  const pairs = twins.map((twin) => `${samples[twin.trained]!.name} = ${samples[twin.held]!.name}`);
  const images = twins.length === 1 ? 'image is' : 'images are';
  return [
    `${twins.length} training ${images}, byte for byte, also in the test or validation set: ${listed(pairs, 3)}`,
  ];
}

const listed = (names: readonly string[], most: number) =>
  names.length > most
    ? `${names.slice(0, most).join(', ')}, and ${names.length - most} more`
    : names.join(', ');

function settingWarnings({ epochs, warmupEpochs, warmupLr }: Settings): string[] {
  if (epochs === 0 || epochs > warmupEpochs) return [];
  return [
    `every epoch is a warm-up epoch, at a learning rate of ${warmupLr}: hardly anything is learned (--epochs, --warmup-epochs)`,
  ];
}
