import type { Bar } from '../common/reporter.ts';
import { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import { OnDevice } from '../features/on-device.ts';
import { encodeTokenRows } from '../features/tensor-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { checkVocabulary } from '../model/agiqa.ts';
import { Clip, type ClipOptions } from '../model/clip.ts';

export interface TextFeatures {
  /** Of each text, in their order: [E], of unit length. */
  readonly features: readonly Float32Array[];
  /** exp(logit_scale) of the model. */
  readonly logitScale: number;
  /** Texts longer than the model's context, of which the beginning was read. */
  readonly truncated: number;
}

/** Texts encoded between two advances of a bar. */
const stretch = 64;

/**
 * Encodes texts with a CLIP's text tower, which is loaded for this alone and freed. Batches have one shape, so that a feature does
 * not depend on the texts beside it.
 *
 * @param options.truncate reads the beginning of a text that is too long, as CLIP does where it is told to; by default it is refused
 * @throws UserError if the weights have no text tower, or one of another vocabulary
 */
export async function encodeTexts(
  gpu: Gpu,
  weights: string,
  texts: readonly string[],
  options: Pick<ClipOptions, 'weightType' | 'activation'> & {
    readonly truncate?: boolean;
    readonly bar?: Bar | undefined;
  },
): Promise<TextFeatures> {
  const { weightType, activation, truncate = false, bar } = options;
  const tower = new OnDevice((device: Gpu) =>
    Clip.load(device, weights, { weightType, activation, vision: false }),
  );
  const run = <T>(work: (clip: Clip) => Promise<T>) =>
    recovering(gpu, async (device) => work(await tower.on(device)));
  try {
    const tokenizer = await Tokenizer.load();
    const { config, logitScale } = await run(async (clip) => ({
      config: clip.text.config,
      logitScale: clip.logitScale,
    }));
    checkVocabulary(config, tokenizer);
    const { contextLength } = config;
    const features: Float32Array[] = [];
    for (let from = 0; from < texts.length; from += stretch) {
      const part = texts.slice(from, from + stretch);
      const tokens = tokenizer.tokenize(part, contextLength, { truncate });
      const { data, shape } = await encodeTokenRows(tokens, contextLength, run);
      const width = shape[1]!;
      for (let i = 0; i < part.length; i++) features.push(unit(data.slice(i * width, (i + 1) * width)));
      bar?.advance(part.length);
    }
    const tooLong = (text: string) => tokenizer.encode(text).length + 2 > contextLength;
    return { features, logitScale, truncated: truncate ? texts.filter(tooLong).length : 0 };
  } finally {
    await tower.latest?.then(
      (clip) => clip.dispose(),
      () => {}, // it was never made
    );
  }
}

/** x / |x|, in place. */
function unit(vector: Float32Array): Float32Array {
  const length = norm(vector);
  return vector.map((value) => value / length);
}

const norm = (vector: Float32Array): number =>
  Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

/** Cosine of an image's feature [E], of any length, and a text's, of unit length. */
export function cosine(feature: Float32Array, text: Float32Array): number {
  let dot = 0;
  for (let i = 0; i < text.length; i++) dot += feature[i]! * text[i]!;
  return dot / norm(feature);
}
