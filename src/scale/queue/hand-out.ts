import type { Queue } from 'bullmq';
import type { PlannedRun } from '../plan.ts';
import { missingShards } from '../result-names.ts';
import type { ShardJob } from './connection.ts';

/** Jobs added in one call. */
const bulk = 1000;

/**
 * A job's id: a shard is in the queue once, however often it is handed out. 60 bits of the plan's digest, as Redis packs a job tightly only as
 * long as none of its texts, such as its options with the id, is longer than 64 bytes.
 */
export const jobId = (plan: string, shard: number): string => `${plan.slice(0, 10)}-${shard}`;

/**
 * Puts the shards that have no result into the queue. What is there already stays as it is, and what failed stays failed.
 *
 * @returns how many have no result
 */
export async function handOut(queue: Queue<ShardJob>, run: PlannedRun): Promise<number> {
  const missing = missingShards(run);
  for (let at = 0; at < missing.length; at += bulk)
    await queue.addBulk(
      missing.slice(at, at + bulk).map((shard) => ({
        name: 's',
        data: { plan: run.digest, shard },
        opts: {
          jobId: jobId(run.digest, shard),
          attempts: 4,
          // The worker's, see take.ts.
          backoff: { type: 's' },
        },
      })),
    );
  return missing.length;
}

/** A shard whose attempts are used up. */
export interface DeadShard {
  readonly shard: number;
  readonly reason: string;
}

/** Those of a plan, by the queue's failed set. */
export async function deadShards(queue: Queue<ShardJob>, run: PlannedRun): Promise<DeadShard[]> {
  const missing = new Set(missingShards(run));
  const jobs = await queue.getFailed();
  return jobs
    .filter((job) => job?.data.plan === run.digest && missing.has(job.data.shard))
    .map((job) => ({ shard: job.data.shard, reason: job.failedReason }));
}

/** Puts them back, each with all of its attempts. */
export async function retryDead(queue: Queue<ShardJob>, run: PlannedRun): Promise<number> {
  let count = 0;
  for (const job of await queue.getFailed()) {
    if (job?.data.plan !== run.digest) continue;
    await job.remove();
    count++;
  }
  await handOut(queue, run);
  return count;
}

/** Whether the queue has nothing of anyone's: it was emptied, or its server came up without its data. */
export async function isEmpty(queue: Queue<ShardJob>): Promise<boolean> {
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized', 'failed');
  return Object.values(counts).every((count) => count === 0);
}
