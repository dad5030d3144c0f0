import { type DistortionDraw, type MeasuredDistortion, severityOf } from '../data/images/distort.ts';

/** A distortion that an image is asked about. */
export interface Counterfactual {
  /** Its name in files. */
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly distortion: MeasuredDistortion;
  /** From mild to strong, in the unit. */
  readonly levels: readonly number[];
}

/** What people do to images, each in the unit they know it by. They are done to the whole image, before it is resized for the model. */
export const counterfactuals: readonly Counterfactual[] = [
  {
    name: 'jpeg',
    title: 'JPEG',
    unit: 'quality',
    distortion: 'jpeg',
    levels: [95, 80, 60, 40, 25, 15, 8],
  },
  {
    name: 'blur',
    title: 'Blur',
    unit: 'standard deviation, px',
    distortion: 'blur',
    levels: [0.5, 1, 1.5, 2, 3, 5, 8],
  },
  {
    name: 'noise',
    title: 'Noise',
    unit: 'standard deviation, levels of 255',
    distortion: 'noise',
    levels: [3, 6, 12, 20, 35, 50, 80],
  },
  {
    name: 'scale',
    title: 'Scale',
    unit: 'times smaller, and enlarged again',
    distortion: 'resample',
    levels: [1.25, 1.5, 2, 3, 4, 6, 10],
  },
];

/** The noise has one seed: images are asked about the same noise. */
const seed = 1;

/** Every distortion at every level, in the order of {@link curvesOf}. */
export const degradations: readonly DistortionDraw[] = counterfactuals.flatMap(({ distortion, levels }) =>
  levels.map((level) => ({ name: distortion, severity: severityOf(distortion, level), seed })),
);

/** The score over the levels of a distortion. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly { readonly level: number; readonly score: number }[];
}

/** @param scores of an image with each of {@link degradations} */
export function curvesOf(scores: ArrayLike<number>): readonly Curve[] {
  let at = 0;
  return counterfactuals.map(({ name, unit, levels }) => ({
    name,
    unit,
    points: levels.map((level) => ({ level, score: scores[at++]! })),
  }));
}
