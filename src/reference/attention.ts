import type { AttentionSizes } from '../kernels/attention/shape.ts';

export interface Case extends AttentionSizes {
  readonly end: Uint32Array | undefined;
  /** [batch, queries, heads · headDim], as is dOut. */
  readonly q: Float32Array;
  /** [batch, keys, heads · headDim], as is v. */
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly dOut: Float32Array;
}

/** For a tree given by each row's parent (-1: a root) whose children are appended at the latest row, its preorder's subtree ends. */
export function subtreeEnds(parents: readonly number[]): Uint32Array {
  const children: number[][] = parents.map(() => []);
  const roots: number[] = [];
  for (const [j, parent] of parents.entries()) (parent < 0 ? roots : children[parent]!).push(j);
  const ends = new Uint32Array(parents.length);
  let row = 0;
  const visit = (node: number): void => {
    const own = row++;
    for (const child of children[node]!) visit(child);
    ends[own] = row;
  };
  for (const root of roots) visit(root);
  return ends;
}

/** Attention and its gradients by their definitions, in float64, a row at a time. */
export function referenceAttention(test: Case) {
  const { batch, queries, keys, heads, headDim, mask, end, q, k, v, dOut } = test;
  const width = heads * headDim;
  const out = new Float64Array(q.length);
  const lse = new Float64Array(batch * heads * queries);
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  const scale = headDim ** -0.5;
  const p = new Float64Array(keys);
  const dp = new Float64Array(keys);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < queries; i++) {
        const at = (b * queries + i) * width + h * headDim;
        const seen = (j: number) => mask === 'none' || (j <= i && (mask === 'causal' || i < end![j]!));
        const key = (j: number) => (b * keys + j) * width + h * headDim;
        let largest = -Infinity;
        for (let j = 0; j < keys; j++) {
          let score = 0;
          for (let d = 0; d < headDim; d++) score += q[at + d]! * k[key(j) + d]!;
          p[j] = seen(j) ? score * scale : -Infinity;
          largest = Math.max(largest, p[j]!);
        }
        let sum = 0;
        for (let j = 0; j < keys; j++) sum += p[j] = Math.exp(p[j]! - largest);
        lse[(b * heads + h) * queries + i] = largest + Math.log(sum);
        let delta = 0;
        for (let j = 0; j < keys; j++) {
          p[j]! /= sum;
          dp[j] = 0;
          for (let d = 0; d < headDim; d++) {
            out[at + d]! += p[j]! * v[key(j) + d]!;
            dv[key(j) + d]! += p[j]! * dOut[at + d]!;
            dp[j]! += dOut[at + d]! * v[key(j) + d]!;
          }
          delta += p[j]! * dp[j]!;
        }
        for (let j = 0; j < keys; j++) {
          const ds = p[j]! * (dp[j]! - delta) * scale;
          for (let d = 0; d < headDim; d++) {
            dq[at + d]! += ds * k[key(j) + d]!;
            dk[key(j) + d]! += ds * q[at + d]!;
          }
        }
      }
  return { out, lse, dq, dk, dv };
}
