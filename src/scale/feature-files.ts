import { float32ToFloat16 } from '../data/formats/float16.ts';
import { npyBytes } from '../data/formats/npy.ts';
import { safetensorsBytes, type TensorData } from '../data/formats/safetensors.ts';
import { unit } from '../features/cosine.ts';
import type { Plan } from './plan.ts';
import { doneName, npyName } from './result-names.ts';
import type { ResultFile, ShardRow } from './shard-row.ts';
import { tables } from './tables.ts';

/** The features of a shard, one behind the other, and the rows that have one. */
interface Features {
  readonly rows: readonly ShardRow[];
  readonly width: number;
  readonly data: Float32Array | Uint16Array;
}

function featuresOf({ settings }: Plan, all: readonly ShardRow[]): Features {
  const rows = all.filter(({ feature }) => feature !== undefined);
  const width = Number(settings.width);
  const data = new Float32Array(rows.length * width);
  for (const [i, { feature }] of rows.entries())
    data.set(settings.normalize ? unit(feature!) : feature!, i * width);
  return { rows, width, data: settings.featureType === 'float16' ? float32ToFloat16(data) : data };
}

/**
 * clip-retrieval's layout, which autofaiss, embedding-reader and clip-retrieval's own index read: img_emb/img_emb_NNNN.npy with a row
 * an image, and metadata/metadata_NNNN.parquet with their paths. Images that could not be read are in neither, but with their
 * reasons in errors/errors_NNNN.jsonl, if there are any.
 */
export async function npyFiles(plan: Plan, shard: number, all: readonly ShardRow[]): Promise<ResultFile[]> {
  const { rows, width, data } = featuresOf(plan, all);
  const text = (name: string) => ({ name, type: 'string' as const });
  const failed = all.filter(({ error }) => error !== undefined);
  const name = (what: string, extension: string) => npyName(what, shard, plan.shards, extension);
  const metadata = await tables.parquet.encode(
    [text('image_path'), ...plan.extra],
    rows.map(({ path, extra }) => [path, ...extra]),
  );
  const errors = await tables.jsonl.encode(
    [text('path'), text('error')],
    failed.map(({ path, error }) => [path, error!]),
  );
  return [
    { name: name('metadata', 'parquet'), bytes: metadata },
    ...(failed.length > 0 ? [{ name: name('errors', 'jsonl'), bytes: errors }] : []),
    { name: doneName(plan, shard), bytes: npyBytes(rows.length, width, data) },
  ];
}

/** A safetensors file a shard: image_features, and in its metadata the images in their order, and those that could not be read. */
export async function safetensorsFile(
  plan: Plan,
  shard: number,
  all: readonly ShardRow[],
): Promise<ResultFile> {
  const { rows, width, data } = featuresOf(plan, all);
  const dtype = data instanceof Float32Array ? 'F32' : 'F16';
  const tensors: Record<string, TensorData> =
    rows.length > 0 ? { image_features: { dtype, shape: [rows.length, width], data } } : {};
  const failed = all.filter(({ error }) => error !== undefined).map(({ path, error }) => ({ path, error }));
  const extra = plan.extra.map(({ name }, i) => [name, rows.map((row) => row.extra[i] ?? null)] as const);
  const metadata = {
    images: JSON.stringify(rows.map(({ path }) => path)),
    ...(failed.length > 0 && { errors: JSON.stringify(failed) }),
    ...(extra.length > 0 && { columns: JSON.stringify(Object.fromEntries(extra)) }),
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of safetensorsBytes(tensors, metadata)) pieces.push(piece);
  return { name: doneName(plan, shard), bytes: Buffer.concat(pieces) };
}
