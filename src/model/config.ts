import { UserError } from '../common/errors.ts';

export const activations = ['quick_gelu', 'gelu'] as const;
/** `quick_gelu` is x·sigmoid(1.702x), as OpenAI's models were trained with; `gelu` is the exact one, x·Φ(x). */
export type Activation = (typeof activations)[number];

/** What both transformers have in common. */
export interface TransformerConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly activation: Activation;
  readonly layerNormEps: number;
}

/** Sizes of an image tower, and how the pixels it takes are normalized. */
export interface VisionConfig extends TransformerConfig {
  /** Side of the square input in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  /** Whether a layer norm stands before the first block (CLIP: yes; ViT and DeiT: no). */
  readonly preNorm: boolean;
  readonly patchBias: boolean;
  /** Width of the projected feature; null when there is no projection. */
  readonly outputWidth: number | null;
  /** By which pixels in 0 to 1 are normalized, R, G, B. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Sizes of a text tower. */
export interface TextConfig extends TransformerConfig {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly outputWidth: number;
}

/** Sizes of both towers; `text` is null for a plain vision transformer. */
export interface ClipConfig {
  readonly vision: VisionConfig;
  /** Null for a plain vision transformer. */
  readonly text: TextConfig | null;
}

/** What shapes do not tell, as far as something else does. */
export interface ConfigHints {
  readonly vision?: Partial<
    Pick<VisionConfig, 'heads' | 'activation' | 'layerNormEps' | 'imageSize' | 'mean' | 'std'>
  >;
  readonly text?: Partial<Pick<TextConfig, 'heads' | 'activation' | 'layerNormEps'>>;
}

type Vision = NonNullable<ConfigHints['vision']>;

/** Of CLIP as published (https://github.com/openai/CLIP). */
export const clipDefaults = {
  activation: 'quick_gelu',
  layerNormEps: 1e-5,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const satisfies Vision;

/** Of ViT and DeiT as timm publishes them: ImageNet's mean and standard deviation. */
export const timmDefaults = {
  activation: 'gelu',
  layerNormEps: 1e-6,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const satisfies Vision;

/** Published models are 64 wide a head but for ViT-H, ViT-g and ViT-G, which have 16 heads. */
const headsByWidth: Readonly<Record<number, number>> = { 1280: 16, 1408: 16, 1664: 16 };

/**
 * Reads a model's configuration from its tensors' shapes.
 *
 * @param shapeOf the shape of a tensor by its canonical name (OpenAI's), undefined when it is missing
 * @param hints go before the defaults
 * @param path for messages
 */
export function configFromShapes(
  shapeOf: (name: string) => readonly number[] | undefined,
  defaults: typeof clipDefaults | typeof timmDefaults,
  hints: ConfigHints,
  path: string,
): ClipConfig {
  const need = <const Sizes extends readonly string[]>(name: string, ...sizes: Sizes) => {
    const shape = shapeOf(name);
    const expected = `expected [${sizes.join(', ')}]`;
    if (!shape) throw new UserError(`${path}: tensor ${name} is missing, ${expected}`, incomplete);
    if (shape.length !== sizes.length || shape.includes(0)) {
      throw new UserError(
        `${path}: tensor ${name} has the shape [${shape.join(', ')}], ${expected}`,
        incomplete,
      );
    }
    return shape as { readonly [D in keyof Sizes]: number };
  };

  const [width, , patchSize] = need('visual.conv1.weight', 'width', '3', 'patch', 'patch');
  const [tokens] = need('visual.positional_embedding', 'patches + 1', 'width');
  const grid = Math.round(Math.sqrt(tokens - 1));
  const imageSize = hints.vision?.imageSize ?? grid * patchSize;
  if (grid < 1 || grid * grid + 1 !== tokens) {
    throw new UserError(
      `${path}: tensor visual.positional_embedding has ${tokens} rows, which is not a square grid of patches plus a class token`,
      'Only models for square images with one class token are supported.',
    );
  }
  const transformer = (prefix: string, width: number, given: Partial<TransformerConfig> | undefined) => ({
    width,
    layers: countLayers(shapeOf, prefix),
    heads: given?.heads ?? (prefix ? headsByWidth[width] : undefined) ?? width / 64,
    mlpWidth: need(`${prefix}transformer.resblocks.0.mlp.c_fc.weight`, 'MLP width', 'width')[0],
    activation: given?.activation ?? defaults.activation,
    layerNormEps: given?.layerNormEps ?? defaults.layerNormEps,
  });
  const vision: VisionConfig = {
    imageSize,
    patchSize,
    ...transformer('visual.', width, hints.vision),
    preNorm: shapeOf('visual.ln_pre.weight') !== undefined,
    patchBias: shapeOf('visual.conv1.bias') !== undefined,
    outputWidth: shapeOf('visual.proj') ? need('visual.proj', 'width', 'output width')[1] : null,
    mean: hints.vision?.mean ?? defaults.mean,
    std: hints.vision?.std ?? defaults.std,
  };
  let text: TextConfig | null = null;
  if (shapeOf('token_embedding.weight')) {
    const [vocabSize, textWidth] = need('token_embedding.weight', 'vocabulary', 'width');
    text = {
      contextLength: need('positional_embedding', 'context length', 'width')[0],
      vocabSize,
      ...transformer('', textWidth, hints.text),
      outputWidth: need('text_projection', 'width', 'output width')[1],
    };
  }
  for (const tower of [vision, text]) {
    if (tower && !(Number.isInteger(tower.heads) && isHeadWidth(tower.width / tower.heads))) {
      throw new UserError(
        `${path}: width ${tower.width} is not divisible by ${tower.heads} heads`,
        'If heads are not 64 wide, config.json or the metadata must give their number.',
      );
    }
  }
  return { vision, text };
}

/** Published models' heads are 32 to 128 wide, those of models made for tests 8. */
const isHeadWidth = (width: number) => Number.isInteger(width) && width >= 4 && width <= 512;

const incomplete = 'The file is incomplete or holds another kind of model.';

function countLayers(shapeOf: (name: string) => readonly number[] | undefined, prefix: string): number {
  // By any of these, so that a block that lacks one is reported for the lack.
  const parts = ['ln_1.weight', 'attn.in_proj_weight', 'mlp.c_fc.weight'];
  let layers = 0;
  while (parts.some((part) => shapeOf(`${prefix}transformer.resblocks.${layers}.${part}`))) layers++;
  return layers;
}

/** Every tensor of a model under its canonical name (OpenAI's), with its shape. */
export function canonicalShapes({ vision, text }: ClipConfig): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const patches = Math.floor(vision.imageSize / vision.patchSize) ** 2;
  shapes.set('visual.class_embedding', [vision.width]);
  shapes.set('visual.positional_embedding', [patches + 1, vision.width]);
  shapes.set('visual.conv1.weight', [vision.width, 3, vision.patchSize, vision.patchSize]);
  if (vision.patchBias) shapes.set('visual.conv1.bias', [vision.width]);
  if (vision.preNorm) addNorm('visual.ln_pre', vision.width);
  addBlocks('visual.', vision);
  addNorm('visual.ln_post', vision.width);
  if (vision.outputWidth !== null) shapes.set('visual.proj', [vision.width, vision.outputWidth]);
  if (text) {
    shapes.set('token_embedding.weight', [text.vocabSize, text.width]);
    shapes.set('positional_embedding', [text.contextLength, text.width]);
    addBlocks('', text);
    addNorm('ln_final', text.width);
    // Both towers end in one space.
    shapes.set('text_projection', [text.width, vision.outputWidth ?? text.outputWidth]);
    shapes.set('logit_scale', []);
  }
  return shapes;

  function addNorm(name: string, width: number): void {
    shapes.set(`${name}.weight`, [width]);
    shapes.set(`${name}.bias`, [width]);
  }

  function addBlocks(prefix: string, { layers, width, mlpWidth }: TransformerConfig): void {
    for (let layer = 0; layer < layers; layer++) {
      const block = `${prefix}transformer.resblocks.${layer}.`;
      addNorm(`${block}ln_1`, width);
      shapes.set(`${block}attn.in_proj_weight`, [3 * width, width]);
      shapes.set(`${block}attn.in_proj_bias`, [3 * width]);
      shapes.set(`${block}attn.out_proj.weight`, [width, width]);
      shapes.set(`${block}attn.out_proj.bias`, [width]);
      addNorm(`${block}ln_2`, width);
      shapes.set(`${block}mlp.c_fc.weight`, [mlpWidth, width]);
      shapes.set(`${block}mlp.c_fc.bias`, [mlpWidth]);
      shapes.set(`${block}mlp.c_proj.weight`, [width, mlpWidth]);
      shapes.set(`${block}mlp.c_proj.bias`, [width]);
    }
  }
}
