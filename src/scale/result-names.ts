import { basename, dirname, join } from 'node:path';
import { namesIn } from '../common/publish.ts';
import { type Plan, type PlannedRun, shardName } from './plan.ts';

type Names = Pick<Plan, 'format' | 'task' | 'shards'>;

/** The file by which a shard is done, below the run's folder: the last one that is published. */
export function doneName({ format, task, shards }: Names, shard: number): string {
  if (format === 'npy') return npyName('img_emb', shard, shards, 'npy');
  const what = { score: 'scores', encode: 'features', train: 'run' }[task];
  if (format === 'run') return join('runs', `${what}-${shardName(shard)}`, 'summary.json');
  // A thousand a folder: some file systems slow down beyond.
  const folder = String(Math.floor(shard / 1000)).padStart(3, '0');
  return join('out', folder, `${what}-${shardName(shard)}.${format}`);
}

/** A file of clip-retrieval's layout: as many digits as the last number has. */
export const npyName = (what: string, shard: number, shards: number, extension: string): string =>
  join(what, `${what}_${String(shard).padStart(String(shards - 1).length, '0')}.${extension}`);

/** The shards that have no result yet, by what lies in the run's folder. */
export function missingShards({ folder, plan }: Pick<PlannedRun, 'folder' | 'plan'>): number[] {
  const listed = new Map<string, ReadonlySet<string>>();
  const missing: number[] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    const file = join(folder, doneName(plan, shard));
    const place = dirname(file);
    let names = listed.get(place);
    if (!names) listed.set(place, (names = new Set(namesIn(place))));
    if (!names.has(basename(file))) missing.push(shard);
  }
  return missing;
}
