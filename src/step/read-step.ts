import * as v from 'valibot';
import { readJson } from '../common/json-file.ts';
import type { ComparableStep } from './compare-steps.ts';
import { stepFormat, stepVersion } from './step-data.ts';

const figure = v.pipe(v.number(), v.finite(), v.minValue(0));
const schema = v.object({
  format: v.literal(stepFormat),
  version: v.literal(stepVersion),
  title: v.string(),
  made: v.string(),
  package: v.string(),
  batch: figure,
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  adapter: v.object({ name: v.string() }),
  ops: v.array(v.object({ name: v.string() })),
  dispatches: v.array(
    v.object({
      phase: v.picklist(['forward', 'backward', 'update']),
      part: v.string(),
      op: v.pipe(v.number(), v.integer()),
      kernel: v.string(),
      ns: figure,
      operations: v.nullable(figure),
      bytes: v.nullable(figure),
    }),
  ),
});

/**
 * What a comparison reads of a recording that `step --json` wrote.
 *
 * @throws UserError naming what is wrong in the file
 */
export function readStep(path: string): Promise<ComparableStep> {
  return readJson(path, schema, 'Write it with step --json FILE, of this version.');
}
