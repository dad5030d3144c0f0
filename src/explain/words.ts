import { figureText } from '../common/figure-text.ts';
import type { Curve } from './curves.ts';

const rows = ['top', 'middle', 'bottom'];
const columns = ['left', 'center', 'right'];

/** Where a number of a square map is, in words: `top left`, `center`. */
export function placeOf(at: number, side: number): string {
  const third = (position: number) => Math.min(2, Math.floor((3 * position) / side));
  const [row, column] = [third(Math.floor(at / side)), third(at % side)];
  if (row === 1 && column === 1) return 'center';
  return `${rows[row]} ${columns[column]}`;
}

/** What a map of relevance says, for those who do not see it. */
export function relevanceText(map: ArrayLike<number>): string {
  const values = Array.from(map);
  const side = Math.sqrt(values.length);
  const [most, least] = [Math.max(...values), Math.min(...values)];
  const parts = [
    most > 0 ? `most in favor at the ${placeOf(values.indexOf(most), side)}` : '',
    least < 0 ? `most against at the ${placeOf(values.indexOf(least), side)}` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'no part counts more than another' : parts.join(', ');
}

/** What the curves say: which distortion at its strongest moves the score most. */
export function curvesText(curves: readonly Curve[], score: number): string {
  const last = curves.map(({ name, points }) => ({ name, change: points.at(-1)!.score - score }));
  const most = last.reduce((a, b) => (Math.abs(b.change) > Math.abs(a.change) ? b : a));
  const sign = most.change < 0 ? '−' : '+';
  return `At their strongest, ${most.name} moves the score most: ${sign}${figureText(Math.abs(most.change), 2)}.`;
}
