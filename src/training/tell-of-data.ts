import type { Reporter } from '../common/reporter.ts';
import { trainedAndHeld } from '../data/datasets/duplicates.ts';
import type { Dataset } from '../data/datasets/index.ts';
import type { Settings } from './settings.ts';

/** Says what a run is about to learn from, and what of it will make its figures undefined or too good. */
export async function tellOfData(dataset: Dataset, settings: Settings, reporter: Reporter): Promise<void> {
  const { target, range, samples, split, notes } = dataset;
  const used = [split.train, split.val, split.test].reduce((sum, part) => sum + part.length, 0);
  const count = used < samples.length ? `${used} of ${samples.length}` : String(used);
  reporter.line(`scores     ${target}, ${range.join(' to ')}, ${count} images`);
  for (const note of notes) reporter.line(`note       ${note}`);
  for (const warning of [...(await dataWarnings(dataset)), ...settingWarnings(settings)])
    reporter.line(`warning    ${warning}`);
}

async function dataWarnings(dataset: Dataset): Promise<string[]> {
  const { samples, split, range } = dataset;
  const warnings: string[] = [];
  const isConstant = (part: Int32Array) => part.every((at) => samples[at]!.mos === samples[part[0]!]!.mos);
  if (range[0] === range[1])
    warnings.push('all scores are equal: there is nothing to learn, and correlations are undefined');
  else if (split.test.length === 1)
    warnings.push('the test set is a single image: correlations are undefined');
  else if (split.test.length > 0 && isConstant(split.test))
    warnings.push('all test scores are equal: correlations are undefined');
  const twins = await trainedAndHeld(dataset);
  if (twins.length > 0) {
    const shown = twins
      .slice(0, 3)
      .map((twin) => `${samples[twin.trained]!.name} = ${samples[twin.held]!.name}`);
    const more = twins.length > 3 ? `, and ${twins.length - 3} more` : '';
    warnings.push(
      `${twins.length} training image${twins.length === 1 ? ' is' : 's are'}, byte for byte, also in the test or validation set: ${shown.join(', ')}${more}`,
    );
  }
  return warnings;
}

function settingWarnings({ epochs, warmupEpochs, warmupLr }: Settings): string[] {
  if (epochs === 0 || epochs > warmupEpochs) return [];
  return [
    `every epoch is a warm-up epoch, at a learning rate of ${warmupLr}: hardly anything is learned (--epochs, --warmup-epochs)`,
  ];
}
