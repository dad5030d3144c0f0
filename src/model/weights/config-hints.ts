import { shown, UserError } from '../../common/errors.ts';
import { anyObject, parseJson } from '../../common/json.ts';
import { activations, type ClipConfig, type ConfigHints } from '../config.ts';

/** Under which safetensors metadata hold what shapes do not tell. */
const metadataKey = 'clip_config';

type Json = Readonly<Record<string, unknown>>;
type Vision = NonNullable<ConfigHints['vision']>;

/** Metadata to store beside a model's tensors, so that opening it again gives the same configuration. */
export function configMetadata({ vision, text }: ClipConfig): Record<string, string> {
  const { heads, activation, layerNormEps, mean, std } = vision;
  const hints: ConfigHints = {
    vision: { heads, activation, layerNormEps, mean, std },
    ...(text && {
      text: { heads: text.heads, activation: text.activation, layerNormEps: text.layerNormEps },
    }),
  };
  // Readers of Hugging Face's libraries ask for the format.
  return { format: 'pt', [metadataKey]: JSON.stringify(hints) };
}

/** What `configMetadata` stored; empty when it is absent. */
export function hintsFromMetadata(metadata: Readonly<Record<string, string>>, path: string): ConfigHints {
  const text = metadata[metadataKey];
  if (text === undefined) return {};
  const from = `${path}, metadata ${metadataKey}`;
  const stored = parseJson(text, anyObject, from);
  return {
    vision: {
      ...tower(child(stored, 'vision'), from),
      ...normalization(child(stored, 'vision'), 'mean', 'std', from),
    },
    text: tower(child(stored, 'text'), from),
  };
}

/** A configuration file beside the weights by its name, with its path for messages; undefined where there is none. */
export type Siblings = (name: string) => { readonly path: string; readonly text: string } | undefined;

/**
 * What the configuration files beside the weights say: Hugging Face's `config.json` (CLIP's, or timm's) and
 * `preprocessor_config.json`, and open_clip's `open_clip_config.json`.
 */
export function hintsFromSiblings(siblings: Siblings, naming: 'openai' | 'hf' | 'timm'): ConfigHints {
  const read = (name: string) => {
    const found = siblings(name);
    return found && { file: found.path, json: parseJson(found.text, anyObject, found.path) };
  };
  if (naming === 'openai') {
    const found = read('open_clip_config.json');
    return found ? openClipHints(found.json, found.file) : {};
  }
  const found = read('config.json');
  if (!found) return {};
  const { json: config, file } = found;
  if (naming === 'timm')
    return { vision: normalization(child(config, 'pretrained_cfg'), 'mean', 'std', file) };

  const preprocessor = read('preprocessor_config.json');
  const pixels = preprocessor
    ? normalization(preprocessor.json, 'image_mean', 'image_std', preprocessor.file)
    : {};
  // CLIPVisionModel's own file has the tower's settings at its top.
  const vision = config.vision_config ? child(config, 'vision_config') : config;
  const imageSize = whole(vision.image_size, 'image_size', file);
  return {
    vision: { ...huggingFaceTower(vision, file), ...(imageSize && { imageSize }), ...pixels },
    text: huggingFaceTower(child(config, 'text_config'), file),
  };
}

function huggingFaceTower(config: Json, file: string): NonNullable<ConfigHints['text']> {
  return tower(
    {
      heads: config.num_attention_heads,
      activation: config.hidden_act,
      layerNormEps: config.layer_norm_eps,
    },
    file,
  );
}

function openClipHints(config: Json, file: string): ConfigHints {
  const model = child(config, 'model_cfg');
  const vision = child(model, 'vision_cfg');
  const text = child(model, 'text_cfg');
  const activation = model.quick_gelu === true ? 'quick_gelu' : 'gelu';
  const headWidth = whole(vision.head_width, 'head_width', file);
  const width = whole(vision.width, 'width', file);
  return {
    vision: {
      ...tower({ activation, heads: headWidth && width && width / headWidth }, file),
      ...normalization(child(config, 'preprocess_cfg'), 'mean', 'std', file),
    },
    text: tower({ activation, heads: text.heads }, file),
  };
}

/** Checked settings; absent ones are left out, so that spreading keeps a default. */
function tower(settings: Json, from: string): NonNullable<ConfigHints['text']> {
  const heads = whole(settings.heads, 'heads', from);
  const layerNormEps = within(settings.layerNormEps, ranges.layerNormEps, 'layer norm eps', from);
  const name = settings.activation ?? undefined;
  const activation = activations.find((known) => known === name);
  if (name !== undefined && activation === undefined)
    throw new UserError(
      `${from}: unknown activation ${shown(name)}`,
      `Supported: ${activations.join(' and ')}.`,
    );
  return {
    ...(heads && { heads }),
    ...(layerNormEps && { layerNormEps }),
    ...(activation && { activation }),
  };
}

function normalization(
  settings: Json,
  meanKey: string,
  stdKey: string,
  from: string,
): Pick<Vision, 'mean' | 'std'> {
  const mean = triple(settings[meanKey], ranges.mean, meanKey, from);
  const std = triple(settings[stdKey], ranges.std, stdKey, from);
  return { ...(mean && { mean }), ...(std && { std }) };
}

interface NumberRange {
  readonly min: number;
  readonly max: number;
}

/** What makes sense of each number, with room: outside of it every feature is constant, or not finite. */
const ranges = {
  /** Pixels lie in 0 to 1; some models shift by more, none by much. */
  mean: { min: -100, max: 100 },
  /** 1/255 is what pixels in 0 to 255 come to. */
  std: { min: 1e-3, max: 100 },
  /** Published models have 1e-12 to 1e-5. */
  layerNormEps: { min: 1e-20, max: 0.1 },
} as const satisfies Record<string, NumberRange>;

function triple(
  value: unknown,
  range: NumberRange,
  key: string,
  from: string,
): [number, number, number] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length !== 3)
    throw new UserError(`${from}: ${key} is ${shown(value)}, not three numbers`);
  return value.map((item) => within(item ?? Number.NaN, range, key, from)) as [number, number, number];
}

/** A number in a range; undefined where there is none. */
function within(value: unknown, { min, max }: NumberRange, key: string, from: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw new UserError(`${from}: ${key} is ${shown(value)}, not a number from ${min} to ${max}`);
}

/** A positive whole number; undefined where there is none. */
function whole(value: unknown, key: string, from: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && Number.isSafeInteger(value)) return value;
  throw new UserError(`${from}: ${key} is ${shown(value)}, not a positive integer`);
}

function child(parent: Json, key: string): Json {
  const value = parent[key];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
