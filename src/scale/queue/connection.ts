import type { PostgresConnectionOptions, Processor, Queue, Worker, WorkerOptions } from 'bullmq';
import { UserError } from '../../common/errors.ts';
import { optional } from '../optional.ts';

/** Of the queue; in Redis its keys begin with `bull:clip-agiqa:`. */
export const queueName = 'clip-agiqa';

/** What is handed out: which shard of which plan. Nothing else goes through a queue: no path, no image, no result. */
export interface ShardJob {
  /** The plan's digest. */
  readonly plan: string;
  readonly shard: number;
}

/** A connection to a server that keeps queues. */
export interface QueueServer {
  queue(): Queue<ShardJob>;
  worker(process: Processor<ShardJob>, options: Partial<WorkerOptions>): Worker<ShardJob>;
  close(): Promise<void>;
}

const bullmq = () => optional('bullmq', 'a queue', () => import('bullmq'));

/**
 * Where the queue is: what `--queue` names, or QUEUE_URL. A password belongs into the environment, since everyone on a machine sees the
 * command lines.
 */
export function queueUrl(given: string | true | undefined, env: NodeJS.ProcessEnv = process.env): URL {
  const text = typeof given === 'string' ? given : env.QUEUE_URL;
  if (!text) throw new UserError('no queue is named', 'Pass --queue URL, or set QUEUE_URL.');
  const known = ['redis:', 'rediss:', 'redis+unix:', 'postgres:', 'postgresql:'];
  if (!URL.canParse(text) || !known.includes(new URL(text).protocol))
    throw new UserError(
      'the queue is no URL of a kind that is known',
      'Write redis://HOST:PORT, rediss://HOST:PORT (TLS), redis+unix:///SOCKET, or postgres://HOST/DATABASE.',
    );
  const url = new URL(text);
  if (typeof given === 'string' && (url.password !== '' || url.searchParams.has('password')))
    throw new UserError(
      'a password on the command line can be read by everyone on this machine',
      'Set QUEUE_URL in the environment, and pass --queue without a value.',
    );
  return url;
}

/** A queue's URL without what is secret. */
export const shownUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

/** Connects as the URL says; errors of the connection itself are retried for ever, and passed to `warn`. */
export async function openQueueServer(url: URL, warn: (text: string) => void): Promise<QueueServer> {
  return url.protocol.startsWith('postgres') ? openPostgres(url, warn) : openRedis(url, warn);
}

/** A server that is away says so every second: each message once a minute. */
function seldom(warn: (text: string) => void): (error: Error & { code?: string }) => void {
  const said = new Map<string, number>();
  return (error) => {
    const text = error.message || error.code || String(error);
    if (Date.now() - (said.get(text) ?? 0) < 60_000) return;
    said.set(text, Date.now());
    warn(`queue      ${text}`);
  };
}

async function openRedis(url: URL, warn: (text: string) => void): Promise<QueueServer> {
  const { Queue, Worker } = await bullmq();
  const { protocol, hostname, port, username, password, pathname } = url;
  const place =
    protocol === 'redis+unix:'
      ? { path: decodeURIComponent(pathname) }
      : {
          host: hostname.replace(/^\[|\]$/g, ''),
          port: Number(port || 6379),
          db: Number(pathname.slice(1) || 0),
        };
  const connection = {
    ...place,
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    // Certificates are checked against the host's name or address, with NODE_EXTRA_CA_CERTS for an authority of one's own.
    ...(protocol === 'rediss:' && { tls: {} }),
    maxRetriesPerRequest: null,
  };
  return queueServer(
    () => new Queue(queueName, { connection }) as unknown as Queue<ShardJob>,
    (process, options) => new Worker<ShardJob>(queueName, process, { connection, ...options }),
    seldom(warn),
  );
}

async function openPostgres(url: URL, warn: (text: string) => void): Promise<QueueServer> {
  const { createPostgresBackend, runMigrations, withBackend } = await bullmq();
  const { Queue, Worker } = withBackend(createPostgresBackend);
  const { default: pg } = await optional('pg', 'a queue in PostgreSQL', () => import('pg'));
  const report = seldom(warn);
  const connectionString = url.href;
  const client = new pg.Client({ connectionString });
  try {
    await client.connect();
    await runMigrations(client);
  } catch (error) {
    throw new UserError(
      `${shownUrl(url)}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`,
      'Check QUEUE_URL, and that the server runs.',
      { cause: error },
    );
  } finally {
    await client.end().catch(() => {});
  }
  // A schema of BullMQ's own. Few connections a worker: a server has 100 by default.
  const pool = new pg.Pool({ connectionString, max: 4, options: '-c search_path=bullmq', keepAlive: true });
  pool.on('error', report);
  // Its types name the pool of its own copy of pg.
  const connection = pool as unknown as PostgresConnectionOptions;
  return queueServer(
    () => new Queue(queueName, { connection }) as unknown as Queue<ShardJob>,
    (process, options) =>
      new Worker(queueName, process as Processor, { ...options, connection }) as unknown as Worker<ShardJob>,
    report,
    () => pool.end().catch(() => {}),
  );
}

/** Reports the errors of what is made, and closes the queues. */
function queueServer(
  makeQueue: () => Queue<ShardJob>,
  makeWorker: QueueServer['worker'],
  report: (error: Error) => void,
  end?: () => Promise<void>,
): QueueServer {
  const opened: Queue<ShardJob>[] = [];
  return {
    queue() {
      const queue = makeQueue();
      queue.on('error', report);
      opened.push(queue);
      return queue;
    },
    worker(process, options) {
      const worker = makeWorker(process, options);
      worker.on('error', report);
      return worker;
    },
    async close() {
      for (const queue of opened) await queue.close();
      await end?.();
    },
  };
}
