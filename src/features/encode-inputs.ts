import { UserError } from '../common/errors.ts';
import { type ImageInput, type OpenedInput, openInput } from '../data/images/input.ts';
import { cropTransforms } from './crops.ts';
import type { ImageEncoder } from './image-encoder.ts';

/** Images to be worked through in order: a list, or whatever gives them one after another, such as an async generator. */
export type ImageInputs = readonly ImageInput[] | AsyncIterable<ImageInput>;

/** An input's feature, or why it has none; `index` is its place in what was given, `path` that of its file, or its name. */
export type EncodedInput =
  | { readonly index: number; readonly path: string; readonly feature: Float32Array }
  | { readonly index: number; readonly path: string; readonly error: string };

/** Inputs opened at once; it bounds what of their bytes is held. */
const batchSize = 64;

/**
 * Features of images in the order they are given in; of so many native crops besides, those behind the feature of the resized image. Of an async iterable, what is there is worked on
 * while the next is waited for.
 */
export async function* encodeInputs(
  images: ImageEncoder,
  inputs: ImageInputs,
  {
    autoOrient = false,
    crops = 0,
  }: { readonly autoOrient?: boolean | undefined; readonly crops?: number } = {},
): AsyncGenerator<EncodedInput, void, undefined> {
  const transforms = cropTransforms(crops);
  let done = 0;
  for await (const some of batches(inputs)) {
    const opened: OpenedInput[] = [];
    for (const [i, input] of some.entries()) opened.push(await openInput(input, done + i));
    const size = images.imageSize;
    // The crops of an image follow each other, so that it is decoded once.
    const jobs = opened.flatMap(({ name: _, ...input }) =>
      transforms.map((transform) => ({ ...input, size, autoOrient, transform })),
    );
    let features: Float32Array[] = [];
    let error: string | undefined;
    for await (const result of images.encode(jobs)) {
      if ('error' in result) error ??= result.error;
      else features.push(result.feature);
      if ((result.index + 1) % transforms.length !== 0) continue;
      const at = (result.index + 1) / transforms.length - 1;
      const { name: path } = opened[at]!;
      if (error === undefined) yield { index: done + at, path, feature: concatenated(features) };
      else yield { index: done + at, path, error };
      [features, error] = [[], undefined];
    }
    done += some.length;
  }
}

function concatenated(features: readonly Float32Array[]): Float32Array {
  const [first] = features;
  if (features.length === 1) return first!;
  const all = new Float32Array(features.length * first!.length);
  for (const [i, feature] of features.entries()) all.set(feature, i * feature.length);
  return all;
}

function batches(
  inputs: ImageInputs,
): Iterable<readonly ImageInput[]> | AsyncIterable<readonly ImageInput[]> {
  if (Array.isArray(inputs)) {
    // Paths hold nothing, and are worked through without a pause.
    if (inputs.every((input) => typeof input === 'string')) return [inputs];
    return Array.from({ length: Math.ceil(inputs.length / batchSize) }, (_, i) =>
      inputs.slice(i * batchSize, (i + 1) * batchSize),
    );
  }
  if (typeof inputs === 'object' && inputs !== null && Symbol.asyncIterator in inputs)
    return asTheyCome(inputs);
  throw new UserError('images are given as an array or an async iterable', 'For one image, pass [image].');
}

/** What an iterable has ready, at most a {@link batchSize} at once, at least one. */
async function* asTheyCome(inputs: AsyncIterable<ImageInput>): AsyncGenerator<readonly ImageInput[]> {
  const source = inputs[Symbol.asyncIterator]();
  const ask = () => {
    const next = source.next();
    // It is awaited later, or never if the caller stops: a failure meanwhile is not unhandled.
    next.catch(() => {});
    return next;
  };
  try {
    for (let pending = ask(); ; ) {
      const first = await pending;
      if (first.done) return;
      const ready = [first.value];
      pending = ask();
      while (ready.length < batchSize) {
        const next = await Promise.race([pending, new Promise<void>((go) => setImmediate(go))]);
        if (!next || next.done) break;
        ready.push(next.value);
        pending = ask();
      }
      yield ready;
    }
  } finally {
    // Not waited for: it may itself wait for an image that never comes.
    source.return?.().catch(() => {});
  }
}
