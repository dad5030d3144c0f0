import { figureText } from '../common/figure-text.ts';
import type { Reporter } from '../common/reporter.ts';
import { compared } from '../explain/agreement.ts';
import {
  type ExplainedImage,
  explainImages,
  type ScoredFile,
  spreadByScore,
} from '../explain/explain-images.ts';
import type { Cover } from '../explain/regions.ts';
import { writeExplanations } from '../explain/write-explanations.ts';
import type { PixelScorer } from '../scoring/pixel-scorer.ts';
import { formatTable } from './table.ts';

export interface ExplainRun {
  /** Folder to write to. */
  readonly folder: string;
  /** Most images to explain. */
  readonly limit: number;
  readonly cover: Cover;
  /** Permutations for Shapley values; 0 for none. */
  readonly permutations: number;
  readonly exif: boolean | undefined;
  /** What the page says of the model. */
  readonly about: readonly (readonly [string, string])[];
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** Explains scored images, evenly spread by score where they are many, and writes the folder. */
export async function explainRun(
  model: PixelScorer,
  scored: readonly ScoredFile[],
  { folder, limit, cover, permutations, exif, about, reporter, signal }: ExplainRun,
): Promise<void> {
  const chosen = spreadByScore(scored, limit);
  const images: ExplainedImage[] = [];
  const options = { cover, permutations, exif, reporter, signal };
  for await (const image of explainImages(model, chosen, options)) images.push(image);
  if (images.length === 0) return;
  const which = chosen.length < scored.length ? ` of ${scored.length}, evenly spread by score` : '';
  const written = await writeExplanations(folder, images, [
    ...about,
    ['images', `${images.length}${which}`],
    ['hidden regions', cover === 'mean' ? 'show the mean color of the image' : 'show the image out of focus'],
    ...(permutations > 0 ? [['Shapley values', `from ${permutations} permutations`] as const] : []),
  ]);
  reporter.line(`explained  ${images.length}${which}: ${written.path}`);
  if (!written.agreement) return;
  const { maps, corrected, reliability } = written.agreement;
  reporter.line(
    `agreement  mean rank correlation with Shapley values, which have a reliability of ${figureText(reliability, 2)}`,
  );
  const rows = compared.map((name) => [name, figureText(maps[name], 3), figureText(corrected[name], 3)]);
  reporter.line(formatTable(rows, { columns: ['map', 'agreement', 'corrected'], align: 'lrr' }));
}
