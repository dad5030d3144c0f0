/** A server that keeps queues. */
export interface QueueServerProcess {
  readonly url: string;
  start(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Ends it, and removes what it kept. */
  stop(): Promise<void>;
}

export const redisProgram: string | undefined;
export const postgresPrograms: string | undefined;
export function startRedis(config?: readonly string[]): Promise<QueueServerProcess>;
export function startPostgres(): Promise<QueueServerProcess>;
