import { srcc } from '../data/metrics/correlation.ts';
import type { Explanation } from '../model/explain.ts';
import { type Agreement, agreementOf } from './agreement.ts';
import { type Cover, covers, type Regions, regionSums, regionsOf, withHidden } from './regions.ts';
import { type ShapleyEstimate, shapleyValues, type Worth } from './shapley.ts';

/** A model that scores images and says what they look at: `PixelScorer`, in a program or in a page. */
export interface Explainable {
  explain(pixels: Uint8Array): Promise<Explanation>;
  score(images: readonly Uint8Array[]): Promise<ArrayLike<number>>;
}

export interface ExplainOptions {
  /** What hidden regions show; the mean color by default. */
  readonly cover?: Cover | undefined;
  /** Permutations for Shapley values; 0, the default, for none. */
  readonly permutations?: number | undefined;
  /** Of the permutations. */
  readonly seed?: number | undefined;
}

/** An image's explanation and what speaks for it. */
export interface CheckedExplanation {
  readonly explanation: Explanation;
  readonly regions: Regions;
  /** By region: the score less that of the image with the region hidden. */
  readonly occlusion: Float64Array;
  /** The rank correlation of relevance and occlusion, by region. */
  readonly occlusionAgreement: number;
  /** Shapley values by region, and how maps agree with them, where they were asked for. */
  readonly shapley?: ShapleyEstimate & { readonly agreement: Agreement };
}

/** Images hidden in part that are made at once. */
const chunk = 16;

/**
 * Explains the score of an image, and hides each region to see whether the score moves as the explanation says.
 *
 * @param pixels as the model takes them
 */
export async function explainImage(
  model: Explainable,
  pixels: Uint8Array,
  { cover = 'mean', permutations = 0, seed = 0 }: ExplainOptions = {},
): Promise<CheckedExplanation> {
  const explanation = await model.explain(pixels);
  const regions = regionsOf(explanation.side);
  const other = covers[cover](pixels);
  const worth: Worth = async (coalitions) => {
    const scores: number[] = [];
    for (let at = 0; at < coalitions.length; at += chunk) {
      const shown = coalitions.slice(at, at + chunk);
      const images = shown.map((members) =>
        withHidden(
          pixels,
          other,
          members.map((one) => 1 - one),
          regions,
        ),
      );
      scores.push(...Array.from(await model.score(images)));
    }
    return scores;
  };
  const everything = new Uint8Array(regions.count).fill(1);
  const [whole = Number.NaN, ...without] = Array.from(
    await worth([everything, ...Array.from(everything, (_, hidden) => everything.with(hidden, 0))]),
  );
  const occlusion = Float64Array.from(without, (score) => whole - score);
  const { relevance, rollout, attention } = explanation;
  const maps = {
    relevance: regionSums(relevance, regions),
    occlusion,
    rollout: regionSums(rollout, regions),
    attention: regionSums(attention, regions),
  };
  const checked = { explanation, regions, occlusion, occlusionAgreement: srcc(maps.relevance, occlusion) };
  if (permutations === 0) return checked;
  const shapley = await shapleyValues(worth, regions.count, { permutations, seed });
  return { ...checked, shapley: { ...shapley, agreement: agreementOf(maps, shapley) } };
}
