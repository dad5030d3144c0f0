import type { Phase } from '../step-data.ts';

/** What a kernel does, as the legend says it. */
const families = [
  ['product', /^matmul/],
  ['attention', /^attention/],
  ['norm and softmax', /^(?:layernorm|softmax|l2_norm)/],
  ['moves data', /^(?:copy|gather|permute|fill|patches|to_)/],
  ['optimizer', /^(?:sgd|adamw|clip_scale)/],
  ['sums and losses', /^(?:row_reduce|column_sum|mse|cross_entropy)/],
  ['elementwise', /./],
] as const;

export type FamilyName = (typeof families)[number][0];
export const familyNames: readonly FamilyName[] = families.map(([name]) => name);

export const familyOf = (kernel: string): FamilyName =>
  families.find(([, pattern]) => pattern.test(kernel))![0];

/** As style.css defines them. */
export const familyColor = (kernel: string): string => `var(--k${familyNames.indexOf(familyOf(kernel))})`;
export const phaseColor = (phase: Phase): string => `var(--${phase})`;
/** From far below the roofline to at it. */
export const roofColor = (share: number): string =>
  `color-mix(in oklab, var(--good) ${Math.round(100 * Math.min(1, Math.sqrt(share)))}%, var(--bad))`;
