import { createReadStream } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { DiskFile, makeFolder } from '../common/disk.ts';
import { temporaryName } from '../common/files.ts';
import { anyObject, count, finite } from '../common/json.ts';
import { namesIn } from '../common/publish.ts';

const recordSchema = v.object({
  shard: count,
  /** Whether this worker's result is the one that stands. */
  written: v.boolean(),
  rows: count,
  errors: count,
  /** How often each reason, of the twenty that came first. */
  reasons: v.record(v.string(), count),
  /** Milliseconds since 1970 at its end. */
  at: finite,
  seconds: finite,
  /** Of these: the device had nothing to do, since no image was ready; it computed; and the result was published. */
  waited: finite,
  computed: v.optional(finite, 0), // earlier versions did not note it, as what follows
  published: finite,
  /** Seconds of all threads to read images, and to decode and resize them. */
  read: v.optional(finite, 0),
  decode: v.optional(finite, 0),
  worker: v.string(),
  adapter: v.string(),
  driver: v.string(),
});

/** What a worker notes of a shard. For the eye alone: what is done is what lies in the run's folder. */
export type ShardRecord = v.InferOutput<typeof recordSchema>;

const folderOf = (run: string): string => join(run, 'workers');

/** A line a shard in workers/NAME.jsonl, a file of each worker's own. */
export class WorkerLog {
  readonly #file: DiskFile;
  /** Who this worker is to people. */
  readonly name = `${hostname()}:${process.pid}`;

  constructor(run: string) {
    makeFolder(folderOf(run));
    const unique = temporaryName().replace(/^\.clip-agiqa-|\.tmp$/g, '');
    this.#file = new DiskFile(join(folderOf(run), `${unique}.jsonl`), 'a');
  }

  add(record: ShardRecord): void {
    this.#file.write(Buffer.from(`${JSON.stringify(record)}\n`));
  }

  close(): void {
    this.#file.close();
  }
}

/** What all workers have noted; a line that is torn or makes no sense is passed over. */
export async function readWorkerLogs(run: string): Promise<ShardRecord[]> {
  const records: ShardRecord[] = [];
  for (const name of namesIn(folderOf(run)).filter((one) => one.endsWith('.jsonl'))) {
    // Line by line: those of a long run have no limit.
    const input = createReadStream(join(folderOf(run), name));
    for await (const line of createInterface({ input })) {
      const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), anyObject, recordSchema), line);
      if (parsed.success) records.push(parsed.output);
    }
  }
  return records;
}
