import type { Job } from 'bullmq';
import * as v from 'valibot';
import { UserError } from '../../common/errors.ts';
import { count } from '../../common/json.ts';
import { optional } from '../optional.ts';
import type { ShardOutcome } from '../run-shard.ts';
import type { QueueServer, ShardJob } from './connection.ts';

const jobSchema = v.object({ plan: v.pipe(v.string(), v.regex(/^[\w-]{22}$/)), shard: count });

export interface TakeOptions {
  /** Computes a shard. `careful`: each image is to be tried in another process first. */
  readonly compute: (job: ShardJob, how: { signal: AbortSignal; careful: boolean }) => Promise<ShardOutcome>;
  /** Ends the work: the shard that is being computed goes back to the queue at its next batch. */
  readonly signal: AbortSignal;
  /** Ends it once the queue has nothing to give. */
  readonly drain: boolean;
  /** Seconds after which a worker that gives no sign of life loses its shard to another. */
  readonly lockSeconds: number;
  readonly report: (text: string) => void;
}

/** Attempts after which a shard's images are tried one by one: those before ended their process, or failed. */
const carefulAfter = 2;

/** Milliseconds after which a shard is offered again that a process outside of the queue is at. */
const busyDelay = 30_000;

/** Takes shards from a queue, one at a time, until it is asked to stop. */
export async function takeShards(server: QueueServer, options: TakeOptions): Promise<void> {
  const { DelayedError, WaitingError, UnrecoverableError } = await optional(
    'bullmq',
    'a queue',
    () => import('bullmq'),
  );
  const { signal, report, drain, lockSeconds, compute } = options;
  const worker = server.worker(
    async (job: Job<ShardJob>, token, cancelled) => {
      const parsed = v.safeParse(jobSchema, job.data);
      if (!parsed.success) throw new UnrecoverableError('the job names no shard of a plan');
      const tries = job.attemptsMade + (job.stalledCounter ?? 0);
      const either = AbortSignal.any([signal, ...(cancelled ? [cancelled] : [])]);
      const { outcome } = await compute(parsed.output, { signal: either, careful: tries >= carefulAfter });
      if (outcome === 'busy') {
        await job.moveToDelayed(Date.now() + busyDelay, token);
        throw new DelayedError();
      }
      if (outcome !== 'stopped') return outcome;
      if (cancelled?.aborted) throw new Error('the lock was lost: another worker has the shard');
      // Back to the front of the queue, without an attempt less.
      await job.moveToWait(token);
      throw new WaitingError();
    },
    {
      concurrency: 1,
      lockDuration: lockSeconds * 1000,
      stalledInterval: Math.max(1000, (lockSeconds * 1000) / 4),
      maxStalledCount: 3,
      // What is done is what lies in the folder: a result that is lost can be handed out again.
      removeOnComplete: { count: 0 },
      settings: { backoffStrategy: (attempts: number) => 5000 * 2 ** (attempts - 1) },
    },
  );
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) worker.cancelJob(id, 'lock lost');
  });
  worker.on('failed', (job, error) => {
    if (job) report(`failed     shard ${job.data.shard}, attempt ${job.attemptsMade}: ${error.message}`);
  });
  worker.on('stalled', (id) => report(`stalled    ${id}: its worker gave no sign of life`));
  await new Promise<void>((done) => {
    if (signal.aborted) done();
    signal.addEventListener('abort', () => done());
    if (drain) worker.on('drained', () => done());
  });
  // Waits for the shard in work, which sees the signal at its next batch.
  await worker.close();
}

/** What a worker says of a plan that is none of its own. */
export const unknownPlan = (digest: string, roots: readonly string[]): UserError =>
  new UserError(
    `no plan ${digest} below ${roots.join(', ')}`,
    'Start the worker with --root DIR, where the run lies.',
  );
