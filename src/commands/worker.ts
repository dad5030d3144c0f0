import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { UserError } from '../common/errors.ts';
import { findPlan } from '../scale/find-plans.ts';
import { openPlanWorker, type PlanWorker } from '../scale/plan-worker.ts';
import { probeImages } from '../scale/probe.ts';
import { openQueueServer, queueUrl, shownUrl } from '../scale/queue/connection.ts';
import { takeShards, unknownPlan } from '../scale/queue/take.ts';

interface Options {
  queue?: string | true;
  root: string[];
  drain?: boolean;
  maxErrors?: number;
  lockSeconds: number;
}

const command = createCommand(
  'worker',
  'Computes what score --queue, encode --queue and train --sweep --queue hand out.',
  [
    'node dist/worker.js --queue redis://queue.example:6379 --root /data',
    'QUEUE_URL=rediss://worker:PASSWORD@queue.example:6379 node dist/worker.js --root /data',
    'QUEUE_URL=postgres://worker@queue.example/queues node dist/worker.js --root /runs --root /images --drain',
  ],
)
  .option('--queue [url]', 'redis://, rediss:// (TLS), redis+unix:// or postgres:// (default: QUEUE_URL)')
  .requiredOption(
    '--root <dir>',
    'work only on runs and images in this folder, or on images of this bucket or prefix (s3://BUCKET/PREFIX); repeatable',
    (dir: string, dirs: string[] = []) => [...dirs, dir],
  )
  .option('--drain', 'end once the queue has nothing to give (default: wait for more)')
  .option(
    '--max-errors <n>',
    'fail shards of a run of which more images than this cannot be read',
    countOption('--max-errors'),
  )
  .option(
    '--lock-seconds <n>',
    'a worker that gives no sign of life for so long loses its shard to another',
    countOption('--lock-seconds'),
    120,
  )
  .addHelpText(
    'after',
    `
A queue names a plan by digest and a shard by number; plans are looked for below --root. Start as many workers as there are GPUs,
whenever. SIGTERM gives the shard in work back to the queue. Needs: npm install bullmq ioredis, or bullmq pg for PostgreSQL.`,
  );

addGpuOptions(command);

await runCommand<Options & Record<string, unknown>>(command, async (options) => {
  const { root: roots, drain = false, lockSeconds, maxErrors } = options;
  const url = queueUrl(options.queue);
  const signal = watchInterrupts();
  const gpu = await startGpu(terminal);
  const server = await openQueueServer(url, (text) => terminal.warn(text));
  let open: PlanWorker | undefined;
  const close = async () => {
    await open?.close();
    open = undefined;
  };
  const workerOn = async (digest: string): Promise<PlanWorker> => {
    if (open?.run.digest === digest) return open;
    await close();
    const run = await findPlan(roots, digest);
    if (!run) throw unknownPlan(digest, roots);
    open = await openPlanWorker(run, gpu, { roots, signal, maxErrors, reporter: terminal });
    terminal.line(`plan       ${run.folder}`);
    return open;
  };
  terminal.line(`queue      ${shownUrl(url)}`);
  let shards = 0;
  await takeShards(server, {
    signal,
    drain,
    lockSeconds,
    report: (text) => terminal.warn(text),
    async compute({ plan, shard }, { signal, careful }) {
      const worker = await workerOn(plan);
      if (shard >= worker.run.plan.shards)
        throw new UserError(`the plan has no shard ${shard}`, 'The queue is not of this plan.');
      const probe = careful ? probeImages : undefined;
      const done = await worker.shard(shard, { signal, probe });
      if (done.outcome === 'written') shards++;
      const what = worker.run.plan.unit === 'run' ? 'trained' : `${done.rows.length} images`;
      const time = done.seconds > 0 ? `, ${what} in ${done.seconds.toFixed(1)} s` : '';
      terminal.line(`shard ${shard}: ${done.outcome}${time}`);
      return done;
    },
  });
  await close();
  await server.close();
  gpu.close();
  terminal.line(`results    ${shards} shards written`);
  // Connections that wait for a server that is away would keep the process.
  process.exit(0);
});
