import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { TrialData } from '../device/trial.ts';
import type { FamilyTrial } from '../variant.ts';
import type { AttentionBackward, AttentionForward, AttentionShape } from './shape.ts';

/** Multiply-adds of what is timed, at most: a fraction of a tenth of a second on the slowest GPUs. */
const mostTimed = 2e9;
/** And of what the naive variant computes to check the others: beyond that, one entry of the batch. */
const mostChecked = 1e8;

/**
 * What a trial computes: dense views, for a tree a causal mask, which takes no ends of subtrees, and no more entries of the batch than
 * is worth timing, of which the last one is checked.
 */
function trialOf(asked: AttentionShape) {
  const { queries, keys, heads, headDim, aligned, gradientsTogether } = asked;
  const width = heads * headDim;
  const most = Math.max(1, Math.floor(mostTimed / (2 * queries * keys * width)));
  const batch = Math.min(asked.batch, most);
  const mask = asked.mask === 'none' ? asked.mask : ('causal' as const);
  const shape: AttentionShape = { batch, queries, keys, heads, headDim, mask, aligned, gradientsTogether };
  return {
    shape,
    /** Elements of q and of k or v, of all entries. */
    counts: [batch * queries * width, batch * keys * width] as const,
    dense: (buffer: GpuBuffer | undefined, offset = 0) => ({ buffer: buffer!, offset, stride: width }),
    floats: (...counts: readonly number[]) => counts.map((elements) => ({ elements, type: 'f32' as const })),
    /** The last entry of each input, and where it lies among as many elements as `outputs` says, one after the other. */
    part: (...outputs: readonly number[]) =>
      batch > 1 && 2 * batch * queries * keys * width > mostChecked
        ? {
            shape: { ...shape, batch: 1 },
            inputs: (whole: readonly TrialData[]) =>
              whole.map((data) => data.subarray(data.length - data.length / batch)),
            runs: outputs.map((elements, i) => {
              const start = outputs.slice(0, i + 1).reduce((sum, one) => sum + one, 0);
              return [start - elements / batch, elements / batch] as const;
            }),
          }
        : undefined,
  };
}

export function forwardTrial(asked: AttentionShape): FamilyTrial<AttentionShape, AttentionForward> {
  const { shape, counts, dense, floats, part } = trialOf(asked);
  const [ofQueries, ofKeys] = counts;
  const checked = part(ofQueries);
  return {
    inputs: floats(ofQueries, ofKeys, ofKeys),
    output: ofQueries,
    shape,
    ...(checked && { part: checked }),
    args: ([q, k, v], out) => ({ q: dense(q), k: dense(k), v: dense(v), out, ...shape }),
  };
}

export function backwardTrial(asked: AttentionShape): FamilyTrial<AttentionShape, AttentionBackward> {
  const { shape, counts, dense, floats, part } = trialOf(asked);
  const [ofQueries, ofKeys] = counts;
  const checked = part(ofQueries, ofKeys, ofKeys);
  const lses = shape.batch * shape.heads * shape.queries;
  return {
    inputs: floats(ofQueries, ofKeys, ofKeys, ofQueries, ofQueries, lses),
    output: ofQueries + 2 * ofKeys,
    shape,
    ...(checked && { part: checked }),
    args: ([q, k, v, out, dOut, lse], gradient) => ({
      ...shape,
      q: dense(q),
      k: dense(k),
      v: dense(v),
      out: out!,
      dOut: dOut!,
      lse: lse!,
      dq: dense(gradient),
      dk: dense(gradient, ofQueries),
      dv: dense(gradient, ofQueries + ofKeys),
    }),
  };
}
