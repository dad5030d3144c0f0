import { existsSync } from 'node:fs';
import * as v from 'valibot';
import { UserError } from '../common/errors.ts';
import { parseJson } from '../common/json.ts';
import { readText } from '../common/read-file.ts';
import { adapterKey } from '../kernels/device/adapter-store.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { fixVariants, tuned } from '../kernels/device/tuning.ts';
import type { Plan, PlannedRun } from './plan.ts';

/** What of a tuning table a plan carries, so that all its workers compute with the same kernels. */
type PlanVariants = Pick<Plan, 'variants' | 'tunedFor'>;

const tableSchema = v.object({
  adapter: v.string(),
  measured: v.record(v.string(), v.object({ variant: v.string() })),
});

/** A table as a plan has it; without a measurement it is of no adapter, and rules choose, which are the same on all. */
function ofTable(
  adapter: string,
  measured: Iterable<readonly [string, { readonly variant: string }]>,
): PlanVariants {
  const variants = Object.fromEntries([...measured].map(([key, { variant }]) => [key, variant]));
  return Object.keys(variants).length > 0 ? { variants, tunedFor: adapter } : { variants };
}

/** What was measured of this machine's adapter. */
export const variantsInForce = (gpu: Gpu): PlanVariants => ofTable(adapterKey(gpu.adapter), tuned(gpu));

/** A table in a file (`--tuning`), for plans that are made where there is no adapter; nothing where there is no such file yet. */
export async function variantsOfFile(path: string | undefined): Promise<PlanVariants> {
  if (path === undefined || !existsSync(path)) return { variants: {} };
  const { adapter, measured } = parseJson(await readText(path, 'jsonBytes'), tableSchema, path);
  return ofTable(adapter, Object.entries(measured));
}

/**
 * Has a device compute with the plan's kernel variants alone: nothing is measured on it any more.
 *
 * @throws UserError if they were measured on another adapter or driver, where results would differ
 */
export function usePlanVariants({ plan, folder }: PlannedRun, gpu: Gpu): void {
  const own = adapterKey(gpu.adapter);
  if (plan.tunedFor !== undefined && plan.tunedFor !== own)
    throw new UserError(
      `${folder}: the plan's kernels were chosen for ${plan.tunedFor}, here is ${own}`,
      'Work on machines with that GPU and driver, or make a new plan with --tuning FILE of a file that is not there: rules then choose.',
    );
  fixVariants(gpu, plan.variants);
}
