import { join } from 'node:path';
import { writeOutput } from '../common/files.ts';
import { packageVersion } from '../common/package.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import { type MeanAgreement, meanAgreement } from './agreement.ts';
import type { ExplainedImage } from './explain-images.ts';
import { explanationFiles } from './explanation-files.ts';
import { explanationPage } from './page.ts';

export interface ExplanationsWritten {
  /** Of the page. */
  readonly path: string;
  /** Where Shapley values were computed. */
  readonly agreement: MeanAgreement | null;
}

/**
 * Writes explanations as a page, as JSON with every map, and the curves as CSV.
 *
 * @param about what the page says of the model and of how it was explained: a label and a text each
 */
export async function writeExplanations(
  folder: string,
  images: readonly ExplainedImage[],
  about: readonly (readonly [string, string])[],
): Promise<ExplanationsWritten> {
  const agreements = images.flatMap(({ shapley }) => (shapley ? [shapley.agreement] : []));
  const agreement = agreements.length > 0 ? meanAgreement(agreements) : null;
  const [page, json, curves] = explanationFiles.map((name) => join(folder, name)) as [string, string, string];
  await writeOutput(page, await explanationPage(images, { facts: about, agreement }));
  await writeOutput(json, `${JSON.stringify(jsonOf(images, about, agreement))}\n`);
  await writeOutput(curves, csvText(curveRows(images)));
  return { path: page, agreement };
}

function jsonOf(
  images: readonly ExplainedImage[],
  about: readonly (readonly [string, string])[],
  agreement: MeanAgreement | null,
): object {
  return {
    version: packageVersion(),
    about: Object.fromEntries(about),
    agreement,
    images: images.map(
      ({ path, score, explanation, regions, occlusion, occlusionAgreement, shapley, curves }) => {
        const { side, ...maps } = explanation;
        const { raises, lowers, relevance, attention, rollout } = maps;
        return {
          path,
          score,
          patches: side,
          ...lists({ relevance, raises, lowers, attention, rollout }),
          regions: regions.side,
          ...lists({ occlusion }),
          occlusionAgreement,
          ...(shapley && { ...lists({ shapley: shapley.values }), agreement: shapley.agreement }),
          curves,
        };
      },
    ),
  };
}

const lists = (maps: Readonly<Record<string, ArrayLike<number>>>): object =>
  Object.fromEntries(Object.entries(maps).map(([name, values]) => [name, Array.from(values)]));

function* curveRows(images: readonly ExplainedImage[]): Generator<(string | number)[]> {
  yield ['path', 'distortion', 'level', 'unit', 'score'];
  for (const { path, score, curves } of images) {
    yield [path, 'none', 0, '', score];
    for (const { name, unit, points } of curves)
      for (const { level, score } of points) yield [path, name, level, unit, score];
  }
}
