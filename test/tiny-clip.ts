import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { type ClipConfig, canonicalShapes, clipDefaults } from '../src/model/config.ts';
import { generateValues } from '../src/model/weights/weights-spec.ts';

export interface NamedTensor {
  readonly dtype: 'F32';
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const transformer = { layers: 2, heads: 1, activation: 'quick_gelu', layerNormEps: 1e-5 } as const;

/** A CLIP of 64 columns a tower: the smallest whose heads are 64 wide. */
export const tinyConfig: ClipConfig = {
  vision: {
    ...transformer,
    imageSize: 12,
    patchSize: 4,
    width: 64,
    mlpWidth: 96,
    preNorm: true,
    patchBias: false,
    outputWidth: 8,
    mean: clipDefaults.mean,
    std: clipDefaults.std,
  },
  text: { ...transformer, contextLength: 7, vocabSize: 11, width: 64, mlpWidth: 128, outputWidth: 8 },
};

/** Its tensors under OpenAI's names, with values that depend on name and place. */
export function tinyTensors(config: ClipConfig = tinyConfig): Map<string, NamedTensor> {
  return new Map(
    [...canonicalShapes(config)].map(([name, shape]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { dtype: 'F32', shape, data: generateValues(name, count, { seed: 1, scale: 0.1 }) }];
    }),
  );
}

/** The same weights as Hugging Face's CLIPModel names and lays them out. */
export function huggingFaceTensors(tensors: ReadonlyMap<string, NamedTensor>): Map<string, NamedTensor> {
  const result = new Map<string, NamedTensor>();
  for (const [name, tensor] of tensors) {
    const tower = name.startsWith('visual.') ? 'vision_model' : 'text_model';
    const renamed = name
      .replace(/^visual\.(class_embedding)$/, 'vision_model.embeddings.$1')
      .replace(/^visual\.conv1/, 'vision_model.embeddings.patch_embedding')
      .replace(/^(visual\.)?positional_embedding$/, `${tower}.embeddings.position_embedding.weight`)
      .replace(/^token_embedding/, 'text_model.embeddings.token_embedding')
      .replace(/^visual\.ln_pre/, 'vision_model.pre_layrnorm')
      .replace(/^visual\.ln_post/, 'vision_model.post_layernorm')
      .replace(/^ln_final/, 'text_model.final_layer_norm')
      .replace(/^(visual\.)?transformer\.resblocks/, `${tower}.encoder.layers`)
      .replace('attn.', 'self_attn.')
      .replace('mlp.c_fc', 'mlp.fc1')
      .replace('mlp.c_proj', 'mlp.fc2')
      .replace('.ln_', '.layer_norm')
      .replace(/^visual\.proj$/, 'visual_projection.weight')
      .replace(/^text_projection$/, 'text_projection.weight');
    if (renamed.includes('in_proj_')) {
      const third = tensor.data.length / 3;
      ['q', 'k', 'v'].forEach((part, p) => {
        result.set(renamed.replace('in_proj_', `${part}_proj.`), {
          dtype: 'F32',
          shape: [tensor.shape[0]! / 3, ...tensor.shape.slice(1)],
          data: tensor.data.slice(p * third, (p + 1) * third),
        });
      });
    } else if (/^(visual|text)_projection/.test(renamed)) {
      const [rows, columns] = tensor.shape as [number, number];
      const data = tensor.data.map((_, i) => tensor.data[(i % rows) * columns + Math.floor(i / rows)]!);
      result.set(renamed, { dtype: 'F32', shape: [columns, rows], data });
    } else result.set(renamed, tensor);
  }
  return result;
}

/** An image tower as timm names it, from one without `ln_pre` and projection; with a classifier, which is ignored. */
export function timmTensors(tensors: ReadonlyMap<string, NamedTensor>): Map<string, NamedTensor> {
  const result = new Map<string, NamedTensor>([
    ['head.weight', { dtype: 'F32', shape: [1, 1], data: new Float32Array(1) }],
  ]);
  for (const [name, tensor] of tensors) {
    const renamed = name
      .replace('visual.class_embedding', 'cls_token')
      .replace('visual.positional_embedding', 'pos_embed')
      .replace('visual.conv1', 'patch_embed.proj')
      .replace('visual.ln_post', 'norm')
      .replace('visual.transformer.resblocks', 'blocks')
      .replace('in_proj_', 'qkv.')
      .replace('out_proj', 'proj')
      .replace('c_fc', 'fc1')
      .replace('c_proj', 'fc2')
      .replace('.ln_', '.norm');
    const shape =
      { cls_token: [1, 1, ...tensor.shape], pos_embed: [1, ...tensor.shape] }[renamed] ?? tensor.shape;
    result.set(renamed, { ...tensor, shape });
  }
  return result;
}

/** Writes tensors under names that an editing function may change, add or drop first. */
export async function writeEdited(
  path: string,
  tensors: Map<string, NamedTensor>,
  edit: (tensors: Map<string, NamedTensor>) => void,
): Promise<string> {
  const edited = new Map(tensors);
  edit(edited);
  await writeSafetensors(path, edited);
  return path;
}
