import { rowsOf } from '../autograd/linear-weight.ts';
import { named } from '../autograd/names.ts';
import type { Operand } from '../autograd/op.ts';
import { attention, attentionFrom } from '../autograd/ops/attention.ts';
import { gatherRows } from '../autograd/ops/embedding.ts';
import { layerNorm } from '../autograd/ops/layernorm.ts';
import { type LinearOptions, linear } from '../autograd/ops/linear.ts';
import { reshape, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { Activation } from './config.ts';
import type { Parameters } from './weights/parameters.ts';

/** A linear layer: weight [out, in] and bias [out]. */
export interface Projection {
  readonly weight: Operand;
  readonly bias: Tensor;
}

/** A layer norm's factor and offset, both [width]. */
export interface Affine {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** One residual block of CLIP's transformers: attention, then a two-layer MLP, each behind a layer norm (pre-norm). */
export interface Block {
  readonly ln1: Affine;
  /** Query, key and value projections in one: weight [3·width, width]. */
  readonly inProj: Projection;
  readonly outProj: Projection;
  readonly ln2: Affine;
  readonly fc: Projection;
  readonly proj: Projection;
}

/** What all blocks of a tower share. */
export interface BlockSettings {
  readonly heads: number;
  readonly activation: Activation;
  readonly layerNormEps: number;
}

/** Which tokens see which: everything, the past, or, for a packed prefix tree, the ancestors (`end` per row, u32). */
export type Visibility = { readonly mask: 'none' | 'causal' } | { readonly end: Tensor };

/** Names a block's parameters as OpenAI's CLIP does, under `prefix` (`visual.transformer.resblocks.0`). */
export function blockParameters(parameters: Parameters, prefix: string): Block {
  return {
    ln1: affine(parameters, `${prefix}.ln_1`),
    inProj: {
      weight: parameters.weight(`${prefix}.attn.in_proj_weight`),
      bias: parameters.get(`${prefix}.attn.in_proj_bias`),
    },
    outProj: projection(parameters, `${prefix}.attn.out_proj`),
    ln2: affine(parameters, `${prefix}.ln_2`),
    fc: projection(parameters, `${prefix}.mlp.c_fc`),
    proj: projection(parameters, `${prefix}.mlp.c_proj`),
  };
}

export function affine(parameters: Parameters, prefix: string): Affine {
  return {
    weight: parameters.get(`${prefix}.weight`),
    bias: parameters.get(`${prefix}.bias`),
  };
}

function projection(parameters: Parameters, prefix: string): Projection {
  return {
    weight: parameters.weight(`${prefix}.weight`),
    bias: parameters.get(`${prefix}.bias`),
  };
}

/** Layer norm under the name that its weights have. */
export function normalize(x: Tensor, name: string, { weight, bias }: Affine, eps: number): Tensor {
  return named(name, () => layerNorm(x, weight, bias, eps));
}

/** A linear layer under the name that its weights have. */
function project(x: Tensor, name: string, { weight, bias }: Projection, options?: LinearOptions): Tensor {
  return named(name, () => linear(x, weight, bias, options));
}

/** x [B, T, D] → [B, T, D]: x + attention(ln(x)), then + mlp(ln(·)). */
export function transformerBlock(
  x: Tensor,
  block: Block,
  settings: BlockSettings,
  visibility: Visibility,
): Tensor {
  return scope(() => mlp(attentionResidual(x, block, settings, visibility), block, settings));
}

/**
 * The last block of a vision tower, of which only the class token (row 0) is read: keys and values for all tokens,
 * everything else for one. x [B, T, D] → [B, 1, D], equal to row 0 of the full block.
 */
export function classTokenBlock(x: Tensor, block: Block, settings: BlockSettings): Tensor {
  return scope(() => {
    const width = x.dim(-1);
    const { weight, bias } = block.inProj;
    const normed = normalize(x, 'ln_1', block.ln1, settings.layerNormEps);
    const attended = named('attn', () => {
      const [query, keysValues] = named('in_proj', () => [
        linear(slice(normed, 1, 0, 1), rowsOf(weight, 0, width), slice(bias, 0, 0, width)),
        linear(normed, rowsOf(weight, width, 3 * width), slice(bias, 0, width, 3 * width)),
      ]);
      const summed = attentionFrom(query!, keysValues!, { heads: settings.heads });
      return project(summed, 'out_proj', block.outProj, { residual: slice(x, 1, 0, 1) });
    });
    return mlp(attended, block, settings);
  });
}

/**
 * The last block of a text tower, of which only some rows (the [EOT] positions) are read: after attention nothing else
 * goes on. x [B, T, D], rows u32 [n] of the flattened B·T → [n, D].
 */
export function selectedRowsBlock(
  x: Tensor,
  rows: Tensor,
  block: Block,
  settings: BlockSettings,
  visibility: Visibility,
): Tensor {
  return scope(() => {
    const width = x.dim(-1);
    const flat = (tensor: Tensor) => reshape(tensor, [tensor.size / width, width]);
    const attended = gatherRows(flat(selfAttention(x, block, settings, visibility)), rows);
    const residual = gatherRows(flat(x), rows);
    return mlp(
      named('attn', () => project(attended, 'out_proj', block.outProj, { residual })),
      block,
      settings,
    );
  });
}

// Scopes inside a block end early what the next part does not read: at most 7·width numbers a token are alive at once.

function selfAttention(x: Tensor, block: Block, settings: BlockSettings, visibility: Visibility): Tensor {
  return scope(() => {
    const normed = normalize(x, 'ln_1', block.ln1, settings.layerNormEps);
    return named('attn', () =>
      attention(project(normed, 'in_proj', block.inProj), { heads: settings.heads, ...visibility }),
    );
  });
}

function attentionResidual(x: Tensor, block: Block, settings: BlockSettings, visibility: Visibility): Tensor {
  return scope(() => {
    const attended = selfAttention(x, block, settings, visibility);
    return named('attn', () => project(attended, 'out_proj', block.outProj, { residual: x }));
  });
}

function mlp(x: Tensor, block: Block, settings: BlockSettings): Tensor {
  const hidden = scope(() => {
    const normed = normalize(x, 'ln_2', block.ln2, settings.layerNormEps);
    return named('mlp', () => project(normed, 'c_fc', block.fc, { activation: settings.activation }));
  });
  return named('mlp', () => project(hidden, 'c_proj', block.proj, { residual: x }));
}
