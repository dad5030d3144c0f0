import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { Tokenizer } from '../data/tokenizer/tokenizer.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import { checkVocabulary, qualityWords } from '../model/agiqa.ts';
import { nearestRows } from '../model/nearest-tokens.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { openClipWeights } from '../model/weights/open-weights.ts';
import { readOriginalContext } from '../model/weights/original-checkpoint.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { isOriginalFolder } from './original-model.ts';
import { readModel } from './trained-model.ts';

/** A token of CLIP's vocabulary near a context vector. */
export interface NearToken {
  readonly id: number;
  /** As the vocabulary spells it: `</w>` where a word ends with it. */
  readonly token: string;
  /** Its text; a piece that others go on has a hyphen at its end. */
  readonly text: string;
  /** Euclidean, between the context vector and the token's embedding. */
  readonly distance: number;
}

export interface ContextWords {
  readonly weights: string;
  /** One set of vectors for all words (`word` null), or one for each when class-specific. */
  readonly contexts: readonly {
    readonly word: string | null;
    /** In the order of the prompt: each vector's length and its nearest tokens. */
    readonly vectors: readonly { readonly norm: number; readonly nearest: readonly NearToken[] }[];
  }[];
}

/**
 * What learned context vectors say: the tokens whose embeddings are nearest to each (Zhou et al., CoOp, arXiv 2109.01134,
 * table 4).
 *
 * @param path a run's folder or a checkpoint of it, or a results folder of the published trainer or a checkpoint in it
 * @param options.weights the CLIP the context was learned with; by default what the run names
 * @param options.top how many tokens a vector
 * @param options.epoch of a results folder: which checkpoint
 */
export async function contextWords(
  path: string,
  options: {
    readonly weights?: string | undefined;
    readonly top: number;
    readonly epoch?: number | 'best' | undefined;
  },
): Promise<ContextWords> {
  const { ctx, words, weights, id } = await readContext(path, options);
  if (weights === '')
    throw new UserError(
      `${path}: the published trainer does not record which CLIP weights it used`,
      'Pass them with --weights, e.g. ViT-B-16.pt.',
    );
  if (id !== null && (await weightsId(weights)) !== id)
    throw new UserError(
      `${weights} are not the weights this context was trained with`,
      'Pass the same file with --weights: distances to other embeddings are meaningless.',
    );
  const width = ctx.shape.at(-1)!;
  const [table, tokenizer] = await Promise.all([embeddings(weights, width), loadTokenizer()]);
  const nearest = nearestRows(ctx.data, table, width, options.top);
  const vectors = nearest.map((neighbors, v) => ({
    norm: Math.hypot(...ctx.data.subarray(v * width, (v + 1) * width)),
    nearest: neighbors.map(({ id: token, distance }) => ({ ...spelling(tokenizer, token), distance })),
  }));
  const length = ctx.shape.at(-2)!;
  const sets = ctx.shape.length === 3 ? ctx.shape[0]! : 1;
  return {
    weights,
    contexts: Array.from({ length: sets }, (_, set) => ({
      word: sets === 1 ? null : (words[set] ?? `class ${set + 1}`),
      vectors: vectors.slice(set * length, (set + 1) * length),
    })),
  };
}

async function readContext(
  path: string,
  options: { readonly weights?: string | undefined; readonly epoch?: number | 'best' | undefined },
): Promise<{ ctx: HostTensor; words: readonly string[]; weights: string; id: string | null }> {
  if (
    isOriginalFolder(path) ||
    (basename(path).includes('.pth.tar') && (await stat(path).catch(() => null)))
  ) {
    const ctx = await readOriginalContext(path, options.epoch);
    const words = ctx.shape[0] === qualityWords.length ? qualityWords : [];
    return { ctx, words, weights: weightsPath(options.weights ?? ''), id: null };
  }
  const { parameters, settings, words, weightsId: id } = await readModel(path);
  const ctx = parameters.get('ctx');
  if (!ctx)
    throw new UserError(
      `${path}: the trainer ${settings.trainer} learns no context vectors`,
      'Pass a run of clip-agiqa or coop.',
    );
  return { ctx, words, weights: weightsPath(options.weights || settings.weights), id };
}

async function embeddings(path: string, width: number): Promise<Float32Array> {
  const weights = await openClipWeights(path);
  try {
    const { text } = weights.config;
    if (!text) throw new UserError(`${path}: these weights have no text tower`, 'Pass a CLIP model.');
    checkVocabulary(text, await loadTokenizer());
    if (text.width !== width)
      throw new UserError(
        `${path}: token embeddings are ${text.width} wide, the context vectors ${width}`,
        'Pass with --weights the CLIP model they were trained with.',
      );
    return await weights.read('token_embedding.weight');
  } finally {
    await weights.close();
  }
}

function spelling(tokenizer: Tokenizer, id: number): Pick<NearToken, 'id' | 'token' | 'text'> {
  const token = tokenizer.token(id)!;
  const decoded = tokenizer.decode([id]);
  const whole = token.endsWith('</w>') || token.startsWith('<|');
  // Part of a character of several bytes has no text of its own.
  const text = decoded === '' || decoded.includes('\ufffd') ? token : whole ? decoded : `${decoded}-`;
  return { id, token, text };
}
