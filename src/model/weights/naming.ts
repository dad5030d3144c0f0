import { UserError } from '../../common/errors.ts';
import type { TensorInfo } from '../../data/formats/tensor-file.ts';

/** Whose parameter names a file uses: OpenAI's (also open_clip's), Hugging Face transformers' or timm's. */
export type Naming = 'openai' | 'hf' | 'timm';

/** How a canonical tensor is made of a file's. */
export interface Recipe {
  readonly sources: readonly [string, ...string[]];
  /** `stacked`: q, k and v one above the other; `squeezed`: leading dimensions of size 1 dropped. */
  readonly layout: 'same' | 'stacked' | 'transposed' | 'squeezed';
}

/** Recognizes the naming by a file's tensor names. Throws `UserError` for models of another kind. */
export function detectNaming(names: ReadonlySet<string>, path: string): Naming {
  const some = (pattern: RegExp) => [...names].some((name) => pattern.test(name));
  if (some(/^visual\.layer1\./)) {
    throw new UserError(
      `${path}: holds a ResNet CLIP`,
      'Only vision transformers are supported, such as ViT-B/16.',
    );
  }
  if (some(/^visual\.trunk\./)) {
    throw new UserError(`${path}: holds an open_clip model around a timm backbone`, 'Use a plain CLIP ViT.');
  }
  if (some(/^(visual\.)?transformer\.resblocks\./)) return 'openai';
  if (some(/^vision_model\./)) return 'hf';
  if (some(/^(blocks\.\d|patch_embed\.)/)) return 'timm';
  throw new UserError(
    `${path}: holds neither a CLIP model nor a vision transformer (tensors: ${[...names].slice(0, 4).join(', ')}, …)`,
    "Known parameter names: OpenAI's CLIP, open_clip, Hugging Face's CLIPModel and timm's ViT.",
  );
}

/** Finds where the tensor of a canonical name (OpenAI's) comes from; undefined when a naming has no such tensor. */
export function recipeFor(canonical: string, naming: Naming, names: ReadonlySet<string>): Recipe | undefined {
  if (naming === 'openai') {
    // open_clip's models with a custom text tower put it under `text.`.
    const custom = `text.${canonical}`;
    return { sources: [names.has(custom) ? custom : canonical], layout: 'same' };
  }
  const block = /^(visual\.)?transformer\.resblocks\.(\d+)\.(.+)$/.exec(canonical);
  if (naming === 'hf') {
    if (!block) return huggingFaceSingles[canonical];
    const prefix = `${block[1] ? 'vision_model' : 'text_model'}.encoder.layers.${block[2]}.`;
    return prefixed(prefix, huggingFaceBlock[block[3]!]);
  }
  if (!block) return timmSingles[canonical];
  return block[1] ? prefixed(`blocks.${block[2]}.`, timmBlock[block[3]!]) : undefined;
}

const towers =
  /^(visual\.|(text\.)?transformer\.|text\.|blocks\.|vision_model\.|text_model\.|patch_embed\.|norm_pre\.)|^dist_token$/;

/**
 * Whether a tensor looks like a tower's weight: to skip one unknowingly would compute something else. Masks and
 * integer tensors, such as position ids, follow from the configuration.
 */
export function isTowerWeight({ name, dtype }: TensorInfo): boolean {
  return towers.test(name) && !name.endsWith('attn_mask') && /F/.test(dtype);
}

function prefixed(prefix: string, recipe: Recipe | undefined): Recipe | undefined {
  if (!recipe) return undefined;
  const [first, ...rest] = recipe.sources;
  return { ...recipe, sources: [prefix + first, ...rest.map((name) => prefix + name)] };
}

const same = (source: string): Recipe => ({ sources: [source], layout: 'same' });
const transposed = (source: string): Recipe => ({ sources: [source], layout: 'transposed' });
const squeezed = (source: string): Recipe => ({ sources: [source], layout: 'squeezed' });
const stacked = (kind: 'weight' | 'bias'): Recipe => ({
  sources: [`self_attn.q_proj.${kind}`, `self_attn.k_proj.${kind}`, `self_attn.v_proj.${kind}`],
  layout: 'stacked',
});

/** `weight` and `bias` of each pair of module names (ours, theirs). */
function modules(pairs: Readonly<Record<string, string>>): Record<string, Recipe> {
  return Object.fromEntries(
    Object.entries(pairs).flatMap(([ours, theirs]) =>
      ['weight', 'bias'].map((kind) => [`${ours}.${kind}`, same(`${theirs}.${kind}`)] as const),
    ),
  );
}

/** A block's output projection, its two norms and the two layers of its MLP, by their names there. */
const blockModules = (
  outProj: string,
  [first, second]: readonly [string, string],
  [fc, proj]: readonly [string, string],
): Record<string, Recipe> =>
  modules({ 'attn.out_proj': outProj, ln_1: first, ln_2: second, 'mlp.c_fc': fc, 'mlp.c_proj': proj });

const huggingFaceBlock: Readonly<Record<string, Recipe>> = {
  'attn.in_proj_weight': stacked('weight'),
  'attn.in_proj_bias': stacked('bias'),
  ...blockModules('self_attn.out_proj', ['layer_norm1', 'layer_norm2'], ['mlp.fc1', 'mlp.fc2']),
};

const huggingFaceSingles: Readonly<Record<string, Recipe>> = {
  'visual.class_embedding': same('vision_model.embeddings.class_embedding'),
  'visual.positional_embedding': same('vision_model.embeddings.position_embedding.weight'),
  'visual.proj': transposed('visual_projection.weight'),
  'token_embedding.weight': same('text_model.embeddings.token_embedding.weight'),
  positional_embedding: same('text_model.embeddings.position_embedding.weight'),
  text_projection: transposed('text_projection.weight'),
  logit_scale: same('logit_scale'),
  ...modules({
    'visual.conv1': 'vision_model.embeddings.patch_embedding',
    // Spelled so in transformers.
    'visual.ln_pre': 'vision_model.pre_layrnorm',
    'visual.ln_post': 'vision_model.post_layernorm',
    ln_final: 'text_model.final_layer_norm',
  }),
};

const timmBlock: Readonly<Record<string, Recipe>> = {
  'attn.in_proj_weight': same('attn.qkv.weight'),
  'attn.in_proj_bias': same('attn.qkv.bias'),
  ...blockModules('attn.proj', ['norm1', 'norm2'], ['mlp.fc1', 'mlp.fc2']),
};

const timmSingles: Readonly<Record<string, Recipe>> = {
  'visual.class_embedding': squeezed('cls_token'),
  'visual.positional_embedding': squeezed('pos_embed'),
  ...modules({ 'visual.conv1': 'patch_embed.proj', 'visual.ln_pre': 'norm_pre', 'visual.ln_post': 'norm' }),
};
