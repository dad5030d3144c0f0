import { UserError } from '../common/errors.ts';
import type { StorageType } from '../data/formats/float16.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import type { Activation } from '../model/config.ts';
import { featureWidth } from '../scale/encode-task.ts';
import { hasPlan } from '../scale/plan.ts';
import type { ShardFlags } from './shard-options.ts';
import { absolute, planRun, workRun } from './shard-run.ts';

/** Options of `encode`. */
export interface EncodeFlags extends ShardFlags {
  weights: string;
  out: string;
  image?: string[];
  text?: string[];
  tensors?: string;
  list?: string;
  imageColumn?: string;
  root?: string;
  batch: number;
  weightType: StorageType;
  featureType?: StorageType;
  normalize?: boolean;
  activation?: Activation;
}

/** Whether `--out` is the folder of a run of shards: its name ends so, or it is one already. */
export const encodesShards = ({ out }: EncodeFlags): boolean => /[/\\]$/.test(out) || hasPlan(out);

/** Works through a plan of shards in the folder `--out`; `given` are the options that the command line has. */
export async function encodeRun(options: EncodeFlags, given: ReadonlySet<string>): Promise<void> {
  if (options.text || options.tensors)
    throw new UserError(
      'a run of shards is one of images',
      'Encode --text and --tensors into a file: --out FILE.',
    );
  const {
    weights,
    weightType,
    activation,
    featureType,
    normalize,
    batch,
    image = [],
    list,
    imageColumn,
    root,
  } = options;
  const decides = { weightType, batch, activation, featureType, normalize };
  const run = await planRun(options.out, options, {
    task: 'encode',
    images: { images: image, list, imageColumn, root },
    given: Object.fromEntries(Object.entries(decides).filter(([name]) => given.has(name))),
    places: given.has('weights') ? { weights: absolute(weights) } : {},
    settings: async () => ({
      weights: absolute(weights),
      weightType,
      batch: batch ?? encodeBatch,
      width: await featureWidth(weights),
      featureType: featureType ?? 'float32',
      ...(normalize && { normalize }),
      ...(activation && { activation }),
    }),
  });
  await workRun(run, options);
}
