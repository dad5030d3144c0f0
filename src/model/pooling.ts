import { multiply, subtract } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { concat, reshape, slice } from '../autograd/ops/shape.ts';
import { relu, sqrt } from '../autograd/ops/unary.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';

/** How the tokens of a block become one vector: class token, mean of the patch tokens, or class token with their mean and standard deviation. */
export type Pool = 'cls' | 'mean' | 'stats';

/**
 * Which numbers of the image tower are the feature: the projected class token, or tokens of some blocks (1 is the first), pooled, with the
 * projected class token behind them where they stand beside texts; and at the end, if wanted, the latter's length.
 */
export type VisionFeature = (
  | { readonly kind: 'projected' }
  | {
      readonly kind: 'pooled';
      readonly blocks: readonly number[];
      readonly pool: Pool;
      readonly projected?: boolean;
    }
) & { readonly length?: boolean };

/** Vectors a token width: 1 or 3. */
export const poolWidth = (pool: Pool): number => (pool === 'stats' ? 3 : 1);

/** Tokens [B, T, D] (class token first) → [B, D], or [B, 3·D] for `stats`. */
export function poolTokens(tokens: Tensor, pool: Pool): Tensor {
  return scope(() => {
    const [batch, count, width] = tokens.shape as [number, number, number];
    const flat = (t: Tensor) => reshape(t, [batch, width]);
    const classToken = flat(slice(tokens, 1, 0, 1));
    if (pool === 'cls') return classToken;
    const patches = slice(tokens, 1, 1, count);
    const ones = new Float32Array(batch * (count - 1)).fill(1 / (count - 1));
    const weights = Tensor.from(tokens.gpu, ones, [batch, 1, count - 1]);
    const average = (t: Tensor) => flat(matmul(weights, t));
    const mean = average(patches);
    if (pool === 'mean') return mean;
    // Mean of squares about zero less the squared mean; relu keeps rounding from a negative root.
    const variance = subtract(average(multiply(patches, patches)), multiply(mean, mean));
    const std = sqrt(relu(variance));
    return concat([classToken, mean, std], 1);
  });
}
