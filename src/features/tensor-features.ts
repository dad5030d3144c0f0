import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { findNonFinite } from '../data/formats/finite.ts';
import { endOfTextAt } from '../data/tokenizer/tokenizer.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { defaultTuneChoice, tune, tunes } from '../kernels/device/tuning.ts';
import type { Clip } from '../model/clip.ts';
import { encodeBatch } from './encode-batch.ts';

/** Does work with the model, and does it again on another device where the one it began on was lost. */
export type WithClip = <T>(work: (clip: Clip) => Promise<T>) => Promise<T>;

/** Lengths in which token rows are computed; a longer context is the last. */
const lengths = [16, 32, 64];

/**
 * Features [width] of token rows of the context length, not L2-normalized. A row's have the same bits whatever it is encoded
 * with: rows are computed in batches of one size, each with rows of its own class of length.
 */
export async function encodeTokenRows(
  tokens: Int32Array,
  contextLength: number,
  run: WithClip,
): Promise<Float32Array[]> {
  const count = tokens.length / contextLength;
  const row = (at: number) => tokens.subarray(at * contextLength, (at + 1) * contextLength);
  const classes = new Map<number, number[]>();
  for (let at = 0; at < count; at++) {
    const used = endOfTextAt(row(at)) + 1;
    const length = lengths.find((one) => one >= used && one < contextLength) ?? contextLength;
    classes.set(length, [...(classes.get(length) ?? []), at]);
  }
  const rows: Float32Array[] = [];
  for (const [atLeast, members] of classes)
    for (let from = 0; from < members.length; from += encodeBatch) {
      const part = members.slice(from, from + encodeBatch);
      const batch = new Int32Array(encodeBatch * contextLength);
      for (let i = 0; i < encodeBatch; i++) batch.set(row(part[i] ?? part[0]!), i * contextLength);
      const values = await run(async (clip) => {
        if (from === 0) await measured(clip.gpu, () => clip.encodeTokens(batch, { atLeast }));
        const encoded = clip.encodeTokens(batch, { atLeast });
        return await encoded.read().finally(() => encoded.dispose());
      });
      const width = values.length / encodeBatch;
      for (const [i, at] of part.entries()) rows[at] = checked(values.slice(i * width, (i + 1) * width), at);
    }
  return rows;
}

/** Features [width] of normalized images [n, 3, size, size], in batches of one size; see {@link encodeTokenRows}. */
export async function encodeImageRows(
  images: Float32Array,
  imageSize: number,
  batch: number,
  run: WithClip,
): Promise<Float32Array[]> {
  const shape = [3, imageSize, imageSize];
  const size = 3 * imageSize ** 2;
  const rows: Float32Array[] = [];
  for (let from = 0; from * size < images.length; from += batch) {
    const values = new Float32Array(batch * size);
    const members = images.subarray(from * size, (from + batch) * size);
    values.set(members);
    const encoded = await run(async (clip) => {
      const features = scope(() => clip.encodeImages(Tensor.from(clip.gpu, values, [batch, ...shape])));
      return await features.read().finally(() => features.dispose());
    });
    const width = encoded.length / batch;
    for (let i = 0; i < members.length / size; i++)
      rows.push(checked(encoded.slice(i * width, (i + 1) * width), from + i));
  }
  return rows;
}

/** Has the variants of what `encode` launches timed before anything is kept of it, where that is asked for: they decide the last bits. */
async function measured(gpu: Gpu, encode: () => Tensor): Promise<void> {
  const choice = defaultTuneChoice();
  if (!tunes(gpu, choice)) return;
  encode().dispose();
  await tune(gpu);
}

function checked(feature: Float32Array, row: number): Float32Array {
  const at = findNonFinite(feature)?.first;
  if (at === undefined) return feature;
  throw new UserError(
    `row ${row + 1}: number ${at + 1} of the ${feature.length} of its feature is ${feature[at]}`,
    'The weights hold non-finite values (weights --info counts them) or values that are too large: try --weight-type float32.',
  );
}
