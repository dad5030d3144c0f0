import { setTimeout as sleep } from 'node:timers/promises';
import { Stopped, UserError } from '../common/errors.ts';
import { commandLine } from '../common/invocation.ts';
import { type PlannedRun, rowsOf } from '../scale/plan.ts';
import { openQueueServer, queueUrl, shownUrl } from '../scale/queue/connection.ts';
import { deadShards, handOut, isEmpty, retryDead } from '../scale/queue/hand-out.ts';
import { missingShards } from '../scale/result-names.ts';
import { watchInterrupts } from './interrupt.ts';
import { reportErrors } from './run-errors.ts';
import type { ShardFlags } from './shard-options.ts';
import { terminal } from './start.ts';

/** Seconds between two looks at the folder of results. */
const look = 2;

const tell = (label: string, text: string) => terminal.line(`${label.padEnd(10)} ${text}`);

/** Hands a run's shards out by a queue, and waits for their results unless told not to. */
export async function queueRun(run: PlannedRun, { queue: given, detach, retry }: ShardFlags): Promise<void> {
  const url = queueUrl(given);
  const server = await openQueueServer(url, (text) => terminal.warn(text));
  const queue = server.queue();
  try {
    const left = await handOut(queue, run);
    if (retry) tell('retry', `${await retryDead(queue, run)} shards that had failed`);
    tell('queue', `${left} of ${run.plan.shards} shards handed out by ${shownUrl(url)}`);
    if (left > 0 && !detach) await waitFor(run, () => watch(run, queue));
    if (detach) tell('progress', `${commandLine('status')} ${run.folder}`);
    else {
      tell('results', `all ${run.plan.shards} shards are in ${run.folder}`);
      await reportErrors(run);
    }
  } finally {
    await server.close();
  }
}

/** Looks after a run: hands out again what a queue has lost. Throws where shards have failed for good and none are left. */
async function watch(run: PlannedRun, queue: Parameters<typeof handOut>[0]): Promise<void> {
  if (await isEmpty(queue)) await handOut(queue, run);
  const dead = await deadShards(queue, run);
  if (dead.length === 0 || dead.length < missingShards(run).length) return;
  throw new UserError(
    `${dead.length} shards have failed for good; shard ${dead[0]!.shard}: ${dead[0]!.reason}`,
    'See to the cause, and hand them out again with --retry.',
  );
}

async function waitFor(run: PlannedRun, watching: () => Promise<void>): Promise<void> {
  const signal = watchInterrupts();
  const { plan } = run;
  const bar = terminal.bar('computing', plan.rows);
  let left = plan.rows;
  try {
    for (let turn = 0; ; turn++) {
      const missing = missingShards(run);
      const now = missing.reduce((sum, shard) => sum + rowsOf(plan, shard), 0);
      if (now < left) bar.advance(left - now);
      left = now;
      if (missing.length === 0) return;
      // A server that is away is waited for: results come without it, too.
      if (turn % 5 === 0)
        await watching().catch((error) => {
          if (error instanceof UserError) throw error;
          terminal.warn(
            `queue      ${(error as Error).message || (error as NodeJS.ErrnoException).code}; continuing`,
          );
        });
      await sleep(look * 1000, undefined, { signal }).catch(() => {});
      if (signal.aborted)
        throw new Stopped(
          `${missing.length} shards are still in the queue, where workers continue; the same command waits again`,
        );
    }
  } finally {
    bar.stop();
  }
}
