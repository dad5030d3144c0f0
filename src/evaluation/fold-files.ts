import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../common/errors.ts';
import { count, finite } from '../common/json.ts';
import { readJson } from '../common/json-file.ts';
import { PublishConflict, publish } from '../common/publish.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { dataIdentity } from '../training/data-identity.ts';
import type { Fold } from './folds.ts';

/** What one trained fold leaves in `folds/`; the file is there once the fold is finished. */
const schema = v.object({
  protocol: v.string(),
  label: v.string(),
  seed: count,
  /** SHA-256 of the names and scores of its parts. */
  digest: v.string(),
  adapter: v.string(),
  train: count,
  val: count,
  /** Which epoch's parameters were kept, chosen by the validation part or the last. */
  epoch: count,
  seconds: finite,
  /** Of the test images that could be read, in the order of the predictions. */
  names: v.array(v.string()),
  /** In MOS units. */
  predictions: v.array(finite),
});

/** A trained fold as it is kept. */
export type FoldFile = v.InferOutput<typeof schema>;

const advice = 'Remove the file to train this fold again, or choose another --out.';
const pathOf = (folder: string, fold: Fold, seed: number) =>
  join(folder, 'folds', `${fold.id}-seed${seed}.json`);

/** A finished fold; null of one that is still to be trained. */
export async function readFold(
  folder: string,
  fold: Fold,
  seed: number,
  dataset: Dataset,
): Promise<FoldFile | null> {
  const path = pathOf(folder, fold, seed);
  if (!existsSync(path)) return null;
  const file = await readFoldFile(path);
  if (file.digest !== digestOf(fold, dataset))
    throw new UserError(`${path}: is of other images, scores or folds`, advice);
  return file;
}

async function readFoldFile(path: string): Promise<FoldFile> {
  const file = await readJson(path, schema, advice);
  if (file.names.length !== file.predictions.length)
    throw new UserError(
      `${path}: has ${file.names.length} names and ${file.predictions.length} predictions`,
      advice,
    );
  return file;
}

/** Every fold that a folder of results holds, by the fold's id. */
export async function readFolds(folder: string): Promise<Map<string, FoldFile[]>> {
  const found = new Map<string, FoldFile[]>();
  for (const name of readdirSync(join(folder, 'folds')).sort()) {
    const id = /^(.+)-seed\d+\.json$/.exec(name)?.[1];
    if (id === undefined) continue;
    const file = await readFoldFile(join(folder, 'folds', name));
    found.set(id, [...(found.get(id) ?? []), file]);
  }
  return found;
}

/**
 * Keeps a finished fold. Where another process has finished the same one first, its result stays and is returned: one that is
 * published never changes.
 */
export async function publishFold(
  folder: string,
  fold: Fold,
  seed: number,
  dataset: Dataset,
  result: Omit<FoldFile, 'protocol' | 'label' | 'seed' | 'digest'>,
): Promise<FoldFile> {
  const { protocol, label } = fold;
  const file = { protocol, label, seed, digest: digestOf(fold, dataset), ...result };
  try {
    publish(pathOf(folder, fold, seed), Buffer.from(`${JSON.stringify(file)}\n`), folder);
  } catch (error) {
    // Two that trained the same fold differ in their seconds at least.
    if (!(error instanceof PublishConflict)) throw error;
  }
  return (await readFold(folder, fold, seed, dataset))!;
}

function digestOf({ split }: Fold, { samples }: Dataset): string {
  const entries = (part: Int32Array) =>
    Array.from(part, (at) => [samples[at]!.name, samples[at]!.mos] as const);
  return dataIdentity({
    training: entries(split.train),
    validation: entries(split.val),
    test: entries(split.test),
  }).digest;
}
