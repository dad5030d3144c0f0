import { Tensor } from '../autograd/tensor.ts';
import { seenRows } from '../features/crops.ts';
import { type DoubtConstants, doubtColumns } from './doubt.ts';
import { readOut, type WithTower } from './pixel-scorer.ts';

/** The columns of doubt of an image, from its score and the features of its crops, the resized one first. */
export function imageDoubt(
  doubt: DoubtConstants,
  {
    score,
    features,
    crops: count,
  }: { readonly score: number; readonly features: Float32Array; readonly crops: number },
  on: WithTower,
): Promise<Record<string, number>> {
  return on(async ({ scoring }, device) => {
    const { width, statistics = null } = scoring;
    const rows = seenRows(features, count);
    const seen = rows.length / width;
    const scores = await readOut(() => {
      const x = Tensor.from(device, rows, [seen, width]);
      return scoring.members?.(x) ?? scoring.predict(x);
    });
    const perRow = scores.length / seen;
    const rowOf = (row: number) => scores.subarray(row * perRow, (row + 1) * perRow);
    const meanOf = (row: number) => rowOf(row).reduce((sum, value) => sum + value, 0) / perRow;
    const crops = Array.from({ length: seen - 1 }, (_, crop) => meanOf(crop + 1));
    return doubtColumns(
      doubt,
      { score, members: rowOf(0), crops, feature: rows.subarray(0, width) },
      statistics,
    );
  });
}
