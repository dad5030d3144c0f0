import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Activation, ClipConfig, ConfigHints } from './config.ts';

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
  const stored = parseJson(text, from);
  return {
    vision: {
      ...tower(child(stored, 'vision'), from),
      ...normalisation(child(stored, 'vision'), 'mean', 'std', from),
    },
    text: tower(child(stored, 'text'), from),
  };
}

/**
 * What the configuration files beside the weights say: Hugging Face's `config.json` (CLIP's, or timm's) and
 * `preprocessor_config.json`, and open_clip's `open_clip_config.json`.
 *
 * @param path the weights' file or folder
 */
export function hintsFromFolder(path: string, naming: 'openai' | 'hf' | 'timm'): ConfigHints {
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  if (naming === 'openai') {
    const file = join(folder, 'open_clip_config.json');
    return existsSync(file) ? openClipHints(readJson(file), file) : {};
  }
  const file = join(folder, 'config.json');
  if (!existsSync(file)) return {};
  const config = readJson(file);
  if (naming === 'timm')
    return { vision: normalisation(child(config, 'pretrained_cfg'), 'mean', 'std', file) };

  const preprocessor = join(folder, 'preprocessor_config.json');
  const pixels = existsSync(preprocessor)
    ? normalisation(readJson(preprocessor), 'image_mean', 'image_std', preprocessor)
    : {};
  // CLIPVisionModel's own file has the tower's settings at its top.
  const vision = config.vision_config ? child(config, 'vision_config') : config;
  const imageSize = positive(vision.image_size, 'image_size', file);
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
  const headWidth = positive(vision.head_width, 'head_width', file);
  const width = positive(vision.width, 'width', file);
  return {
    vision: {
      ...tower({ activation, heads: headWidth && width && width / headWidth }, file),
      ...normalisation(child(config, 'preprocess_cfg'), 'mean', 'std', file),
    },
    text: tower({ activation, heads: text.heads }, file),
  };
}

/** Checked settings; absent ones are left out, so that spreading keeps a default. */
function tower(settings: Json, from: string): NonNullable<ConfigHints['text']> {
  const heads = positive(settings.heads, 'heads', from);
  const layerNormEps = positive(settings.layerNormEps, 'layer norm eps', from);
  const activation = settings.activation ?? undefined;
  if (activation !== undefined && activation !== 'quick_gelu' && activation !== 'gelu') {
    throw new UserError(
      `${from}: the activation ${JSON.stringify(activation)} is not known`,
      'Models with quick_gelu or gelu are supported.',
    );
  }
  return {
    ...(heads && { heads }),
    ...(layerNormEps && { layerNormEps }),
    ...(activation && { activation: activation as Activation }),
  };
}

function normalisation(
  settings: Json,
  meanKey: string,
  stdKey: string,
  from: string,
): Pick<Vision, 'mean' | 'std'> {
  const mean = triple(settings[meanKey], meanKey, from);
  const std = triple(settings[stdKey], stdKey, from);
  return { ...(mean && { mean }), ...(std && { std }) };
}

function triple(value: unknown, key: string, from: string): [number, number, number] | undefined {
  if (value === undefined || value === null) return undefined;
  if (
    Array.isArray(value) &&
    value.length === 3 &&
    value.every((v) => typeof v === 'number' && Number.isFinite(v))
  ) {
    return value as [number, number, number];
  }
  throw new UserError(`${from}: ${key} is ${JSON.stringify(value)}, not three numbers`);
}

function positive(value: unknown, key: string, from: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new UserError(`${from}: ${key} is ${JSON.stringify(value)}, not a positive number`);
}

function child(parent: Json, key: string): Json {
  const value = parent[key];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function readJson(file: string): Json {
  return parseJson(readFileSync(file, 'utf8'), file);
}

function parseJson(text: string, from: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Json;
  } catch {
    // Reported below, as any other text that is no object.
  }
  throw new UserError(`${from}: is not a JSON object`, 'The file is damaged; copy or download it again.');
}
