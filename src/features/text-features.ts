import type { Bar } from '../common/reporter.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { checkVocabulary } from '../model/agiqa.ts';
import type { ClipOptions } from '../model/clip.ts';
import { loadClip } from '../model/load-clip.ts';
import { unit } from './cosine.ts';
import { OnDevice } from './on-device.ts';
import { encodeTokenRows, type WithClip } from './tensor-features.ts';

export interface TextFeatures {
  /** Of each text, in their order: [E]. */
  readonly features: readonly Float32Array[];
  /** Texts longer than the model's context, of which the beginning was read. */
  readonly truncated: number;
}

export interface TextOptions {
  /** Reads the beginning of a text that is too long, as CLIP does with `truncate`; by default it is refused. */
  readonly truncate?: boolean | undefined;
  readonly bar?: Bar | undefined;
}

/** Texts encoded between two advances of a bar. */
const chunk = 64;

/**
 * Features of texts, not L2-normalized. Batches have one shape, so that a feature does not depend on the texts beside it.
 *
 * @throws UserError if the weights have no text tower, or one of another vocabulary
 */
export async function encodeTextsWith(
  run: WithClip,
  texts: readonly string[],
  { truncate = false, bar }: TextOptions = {},
): Promise<TextFeatures> {
  const tokenizer = await loadTokenizer();
  const config = await run(async (clip) => clip.text.config);
  checkVocabulary(config, tokenizer);
  const { contextLength } = config;
  const features: Float32Array[] = [];
  for (let from = 0; from < texts.length; from += chunk) {
    const part = texts.slice(from, from + chunk);
    const tokens = tokenizer.tokenize(part, contextLength, { truncate });
    features.push(...(await encodeTokenRows(tokens, contextLength, run)));
    bar?.advance(part.length);
  }
  const tooLong = (text: string) => tokenizer.encode(text).length + 2 > contextLength;
  return { features, truncated: truncate ? texts.filter(tooLong).length : 0 };
}

/**
 * As {@link encodeTextsWith}, of unit length, by a text tower that is loaded for this alone and freed.
 *
 * @returns besides, exp(logit_scale) of the model
 */
export async function encodeTexts(
  gpu: Gpu,
  weights: string,
  texts: readonly string[],
  options: Pick<ClipOptions, 'weightType' | 'activation'> & TextOptions,
): Promise<TextFeatures & { readonly logitScale: number }> {
  const { weightType, activation } = options;
  const tower = new OnDevice((device: Gpu) =>
    loadClip(device, weights, { weightType, activation, vision: false }),
  );
  const run: WithClip = (work) => recovering(gpu, async (device) => work(await tower.on(device)));
  try {
    const { features, truncated } = await encodeTextsWith(run, texts, options);
    const logitScale = await run(async (clip) => clip.logitScale);
    return { features: features.map(unit), truncated, logitScale };
  } finally {
    await tower.latest?.then(
      (clip) => clip.dispose(),
      () => {}, // it was never made
    );
  }
}
