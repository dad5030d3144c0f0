import * as v from 'valibot';
import { anyObject, count, finite } from '../common/json.ts';

/**
 * What the files of a run hold, wherever they come from: metrics.jsonl, summary.json and the state in a checkpoint. JSON has no
 * NaN, which a figure that is not defined is: it is written as null and comes back as NaN.
 */
const figure = v.pipe(
  v.nullable(finite),
  v.transform((value) => value ?? Number.NaN),
);
const metrics = v.object({ n: count, srcc: figure, plcc: figure, krcc: figure, rmse: figure, mae: figure });
const share = v.nullable(finite);
/** How many epochs a run was to have; see `Plan`. */
export const planSchema = v.array(v.object({ after: count, epochs: count }));

/** A line of metrics.jsonl. */
export const epochRecordSchema = v.object({
  epoch: count,
  lr: finite,
  loss: finite,
  seconds: finite,
  val: v.nullable(metrics),
  test: v.nullable(metrics),
  accuracy: v.exactOptional(v.object({ val: share, test: share })),
});

/** Where a run stands, as a checkpoint says. */
export const stateSchema = v.object({
  epoch: count,
  records: v.array(epochRecordSchema),
  best: v.nullable(
    v.object({ epoch: count, srcc: v.exactOptional(finite), accuracy: v.exactOptional(finite) }),
  ),
  before: v.exactOptional(v.nullable(metrics)),
  plan: v.exactOptional(planSchema),
});

const interval = v.tuple([figure, figure]);
const evaluation = v.object({
  overall: metrics,
  logistic: v.object({ plcc4: figure, rmse4: figure, plcc5: figure, rmse5: figure }),
  byGroup: v.record(v.string(), metrics),
  intervals: v.exactOptional(v.object({ srcc: interval, plcc: interval, krcc: interval, rmse: interval })),
});

/** summary.json, its settings as they stand there. */
export const summarySchema = v.object({
  folder: v.string(),
  settings: anyObject,
  adapter: v.string(),
  mos: v.object({ target: v.string(), range: v.tuple([finite, finite]) }),
  grouping: v.exactOptional(v.string()),
  images: v.object({ train: count, val: count, test: count }),
  unreadable: v.array(v.string()),
  missing: v.array(v.string()),
  epochs: count,
  finalEpoch: count,
  extended: v.exactOptional(planSchema),
  before: v.nullable(metrics),
  test: v.nullable(evaluation),
  accuracy: v.nullable(finite),
  classes: v.exactOptional(v.array(v.object({ name: v.string(), n: count, accuracy: share }))),
  readings: v.exactOptional(v.record(v.string(), v.nullable(metrics))),
  doubt: v.exactOptional(
    v.object({
      folds: count,
      errors: v.array(v.object({ n: count, stated: finite, observed: finite, covered: finite })),
      grades: v.exactOptional(v.array(v.object({ n: count, stated: finite, observed: finite }))),
    }),
  ),
  seconds: finite,
  finished: v.exactOptional(v.string()),
  versions: v.exactOptional(v.record(v.string(), v.string())),
});

/** What a run was trained on, so that it is not resumed on anything else. */
export type DataIdentity = v.InferOutput<typeof dataIdentitySchema>;

export const dataIdentitySchema = v.object({
  /** SHA-256 of what was learned from, in its order: names, scores and parts, but not where the images lie. */
  digest: v.string(),
  /** How many entries it has, by part: for the message. */
  counts: v.record(v.string(), v.number()),
  /** Names of images that could not be decoded; absent before that is known. */
  unreadable: v.exactOptional(v.array(v.string())),
});
