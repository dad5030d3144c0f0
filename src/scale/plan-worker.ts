import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { imagesWithin } from './find-plans.ts';
import { type PlannedRun, requireIdentity } from './plan.ts';
import { usePlanVariants } from './plan-variants.ts';
import { type ShardOptions, type ShardOutcome, ShardRunner } from './run-shard.ts';
import { SweepWorker } from './sweep-worker.ts';
import { taskOf } from './tasks.ts';
import { ShardWorker, type WorkOptions } from './work.ts';

/** Computes shards of a plan of any kind, for a queue. */
export interface PlanWorker {
  readonly run: PlannedRun;
  shard(
    shard: number,
    options: Pick<ShardOptions, 'probe'> & { readonly signal: AbortSignal },
  ): Promise<ShardOutcome>;
  close(): Promise<void>;
}

export interface PlanWorkerOptions extends WorkOptions {
  /** Folders and buckets outside of which nothing is read or written. */
  readonly roots: readonly string[];
  readonly reporter: Reporter;
}

/** @throws UserError if this machine would compute something else than was planned, or outside of the roots */
export async function openPlanWorker(
  run: PlannedRun,
  gpu: Gpu,
  { roots, reporter, ...options }: PlanWorkerOptions,
): Promise<PlanWorker> {
  const { plan, folder } = run;
  usePlanVariants(run, gpu);
  if (plan.task === 'train') return SweepWorker.open(run, gpu, { roots, reporter, takeOver: true });
  if (!imagesWithin(roots, run))
    throw new UserError(
      `the images of ${folder} lie in ${plan.root}, outside of ${roots.join(', ')}`,
      'Start the worker with another --root for them.',
    );
  const kind = taskOf(plan);
  requireIdentity(run, await kind.identify(plan));
  const task = await kind.open(gpu, plan, reporter);
  const worker = await ShardWorker.open(new ShardRunner(run, task), gpu, options);
  return {
    run,
    shard: (shard, how) => worker.shard(shard, how),
    async close() {
      worker.close();
      await task.close();
    },
  };
}
