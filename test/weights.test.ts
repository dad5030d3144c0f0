import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { writeTorchScript } from '../src/data/formats/torchscript-writer.ts';
import { type ClipConfig, timmDefaults } from '../src/model/config.ts';
import { convertWeights } from '../src/model/weights/convert.ts';
import { describeWeights } from '../src/model/weights/describe.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { temporaryFolder } from './temporary-folder.ts';
import {
  huggingFaceTensors,
  type NamedTensor,
  timmTensors,
  tinyConfig,
  tinyTensors,
  writeEdited,
} from './tiny-clip.ts';

const folder = temporaryFolder('weights');
const tensors = tinyTensors();
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  await writeSafetensors(at('openai.safetensors'), tensors);
});

async function expectWeights(
  path: string,
  naming: string,
  config: ClipConfig,
  wanted: ReadonlyMap<string, NamedTensor>,
): Promise<void> {
  const weights = await openClipWeights(path);
  expect(weights.naming).toBe(naming);
  expect(weights.config).toEqual(config);
  expect(weights.names().sort()).toEqual([...wanted.keys()].sort());
  for (const [name, { shape, data }] of wanted) {
    expect(weights.shape(name), name).toEqual(shape);
    expect(await weights.read(name), name).toEqual(data);
  }
  await weights.close();
}

test("OpenAI's names, in safetensors and in a TorchScript archive", async () => {
  await expectWeights(at('openai.safetensors'), 'openai', tinyConfig, tensors);
  await writeTorchScript(at('openai.pt'), tensors);
  await expectWeights(at('openai.pt'), 'openai', tinyConfig, tensors);
  const weights = await openClipWeights(at('openai.safetensors'), { activation: 'gelu' });
  expect(weights.config.vision.activation).toBe('gelu');
  expect(weights.config.text!.activation).toBe('gelu');
  expect(weights.has('visual.proj')).toBe(true);
  expect(weights.has('visual.conv1.bias')).toBe(false);
  expect(() => weights.shape('visual.conv1.bias')).toThrow(/no tensor visual\.conv1\.bias/);
  await weights.close();
});

test('what files do not say of the pixels is as published', async () => {
  // https://github.com/openai/CLIP/blob/main/clip/clip.py and ImageNet's of timm.data.constants
  const openai = await openClipWeights(at('openai.safetensors'));
  expect(openai.config.vision.mean).toEqual([0.48145466, 0.4578275, 0.40821073]);
  expect(openai.config.vision.std).toEqual([0.26862954, 0.26130258, 0.27577711]);
  await openai.close();
  expect(timmDefaults).toMatchObject({ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
});

test("open_clip's separate text tower and its configuration file", async () => {
  const inner = at('open_clip');
  mkdirSync(inner);
  const renamed = [...tensors].map(
    ([name, tensor]) =>
      [name.startsWith('visual.') || name === 'logit_scale' ? name : `text.${name}`, tensor] as const,
  );
  await writeSafetensors(join(inner, 'open_clip_model.safetensors'), new Map(renamed));
  const model = { vision_cfg: { width: 64, head_width: 32 }, text_cfg: { heads: 4 } };
  const pixels = { mean: [0.5, 0.5, 0.5] as const, std: [0.25, 0.25, 0.25] as const };
  writeFileSync(
    join(inner, 'open_clip_config.json'),
    JSON.stringify({ model_cfg: model, preprocess_cfg: pixels }),
  );
  const config: ClipConfig = {
    vision: { ...tinyConfig.vision, ...pixels, heads: 2, activation: 'gelu' },
    text: { ...tinyConfig.text!, heads: 4, activation: 'gelu' },
  };
  await expectWeights(inner, 'openai', config, tensors);
});

test("Hugging Face's folder: q, k, v apart, projections transposed, shards, configuration", async () => {
  const inner = at('hf');
  mkdirSync(inner);
  const all = [...huggingFaceTensors(tensors)];
  const shards = { 'a.safetensors': all.slice(0, 20), 'b.safetensors': all.slice(20) };
  for (const [name, part] of Object.entries(shards)) await writeSafetensors(join(inner, name), new Map(part));
  const map = Object.entries(shards).flatMap(([file, part]) => part.map(([name]) => [name, file]));
  const index = (weightMap: unknown) =>
    writeFileSync(join(inner, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  index(Object.fromEntries(map));
  await expectWeights(inner, 'hf', tinyConfig, tensors);

  const tower = { hidden_act: 'gelu', layer_norm_eps: 1e-6, num_attention_heads: 2 };
  const settings = { vision_config: { ...tower, image_size: 12 }, text_config: tower };
  writeFileSync(join(inner, 'config.json'), JSON.stringify(settings));
  const given = { activation: 'gelu', layerNormEps: 1e-6, heads: 2 };
  const config = {
    vision: { ...tinyConfig.vision, ...given },
    text: { ...tinyConfig.text, ...given },
  } as ClipConfig;
  await expectWeights(inner, 'hf', config, tensors);

  writeFileSync(join(inner, 'config.json'), JSON.stringify({ vision_config: { image_size: 24 } }));
  await expect(openClipWeights(inner)).rejects.toThrow(/position_embedding.*\[10, 64\], expected \[37, 64\]/);
  writeFileSync(join(inner, 'config.json'), JSON.stringify({ vision_config: { hidden_act: 'relu' } }));
  await expect(openClipWeights(inner)).rejects.toThrow(/config\.json: unknown activation "relu"/);

  index({ ...Object.fromEntries(map), extra: 'a.safetensors' });
  await expect(openTensorFile(inner)).rejects.toThrow(/lists extra, but a\.safetensors does not hold it/);
  index({ extra: '../openai.safetensors' });
  await expect(openTensorFile(inner)).rejects.toThrow(/names "\.\.\/openai\.safetensors"/);
  index({ extra: '.' });
  await expect(openTensorFile(inner)).rejects.toThrow(/names "\."/);
  index({ extra: 'absent.safetensors' });
  await expect(openTensorFile(inner)).rejects.toThrow(/index\.json: absent\.safetensors is missing/);
});

const vitConfig: ClipConfig = {
  vision: { ...tinyConfig.vision, ...timmDefaults, preNorm: false, patchBias: true, outputWidth: null },
  text: null,
};

test("timm's names: a plain vision transformer, its classifier left out", async () => {
  const vit = tinyTensors(vitConfig);
  await writeSafetensors(at('vit.safetensors'), timmTensors(vit));
  await expectWeights(at('vit.safetensors'), 'timm', vitConfig, vit);
});

test('a converted model keeps its configuration and, in float32, its values', async () => {
  const weights = await openClipWeights(at('vit.safetensors'));
  await convertWeights(weights, at('converted.safetensors'), 'float32');
  await convertWeights(weights, at('half.safetensors'), 'float16');
  await weights.close();
  await expectWeights(at('converted.safetensors'), 'openai', vitConfig, tinyTensors(vitConfig));
  const half = await openClipWeights(at('half.safetensors'));
  expect(half.config).toEqual(vitConfig);
  const name = 'visual.conv1.weight';
  const [rounded, exact] = [await half.read(name), tinyTensors(vitConfig).get(name)!.data];
  // Half a unit in the last of float16's 11 bits; of subnormals, half of 2^-24.
  const error = rounded.map(
    (value, i) => Math.abs(value - exact[i]!) / Math.max(Math.abs(exact[i]!), 2 ** -14),
  );
  expect(Math.max(...error)).toBeLessThanOrEqual(2 ** -11);
  await half.close();

  const large = { ...tensors.get('ln_final.bias')!, data: new Float32Array(64).fill(70000) };
  const path = await writeEdited(at('large.safetensors'), tensors, (all) => all.set('ln_final.bias', large));
  const source = await openClipWeights(path);
  await expect(convertWeights(source, at('never.safetensors'), 'float16')).rejects.toThrow(
    /ln_final\.bias holds 70000/,
  );
  await source.close();
});

const block = 'visual.transformer.resblocks.1.';
const shape = (...sizes: number[]): NamedTensor => ({
  dtype: 'F32',
  shape: sizes,
  data: new Float32Array(sizes.reduce((product, size) => product * size, 1)),
});

test.each<[string, (all: Map<string, NamedTensor>) => void, RegExp]>([
  [
    'no patch embedding',
    (all) => all.delete('visual.conv1.weight'),
    /visual\.conv1\.weight is missing, expected \[width, 3/,
  ],
  [
    'gray patches',
    (all) => all.set('visual.conv1.weight', shape(64, 1, 4, 4)),
    /\[64, 1, 4, 4\], expected \[64, 3, 4, 4\]/,
  ],
  [
    'a flat patch embedding',
    (all) => all.set('visual.conv1.weight', shape(64, 48)),
    /\[64, 48\], expected \[width, 3/,
  ],
  [
    'patches in no square',
    (all) => all.set('visual.positional_embedding', shape(8, 64)),
    /8 rows, which is not a square/,
  ],
  [
    'a missing tensor',
    (all) => all.delete(`${block}mlp.c_proj.bias`),
    /1\.mlp\.c_proj\.bias is missing, expected \[64\]/,
  ],
  [
    'a wrong shape',
    (all) => all.set(`${block}attn.in_proj_weight`, shape(64, 192)),
    /in_proj_weight has the shape \[64, 192\], expected \[192, 64\]/,
  ],
  ['a missing norm', (all) => all.delete(`${block}ln_1.weight`), /1\.ln_1\.weight is missing/],
  ['no projection of texts', (all) => all.delete('text_projection'), /text_projection is missing/],
  [
    'towers of unlike outputs',
    (all) => all.set('text_projection', shape(64, 9)),
    /text_projection has the shape \[64, 9\], expected \[64, 8\]/,
  ],
  [
    'a gap in the blocks',
    (all) => all.set('transformer.resblocks.3.ln_1.bias', shape(64)),
    /resblocks\.3\.ln_1\.bias does not belong/,
  ],
  ['layer scale', (all) => all.set(`${block}ls_1.gamma`, shape(64)), /ls_1\.gamma does not belong/],
  ['a ResNet', (all) => all.set('visual.layer1.0.conv1.weight', shape(1)), /ResNet CLIP/],
])('refused: %s', async (name, edit, message) => {
  const path = await writeEdited(at(`${name}.safetensors`), tensors, edit);
  const error = await openClipWeights(path).catch((e: Error) => e);
  expect(error).toMatchObject({ name: 'UserError', message: expect.stringMatching(message) });
  expect((error as Error).message).toContain(path);
});

test('in Hugging Face files the missing part of q, k, v is named', async () => {
  const name = 'text_model.encoder.layers.0.self_attn.k_proj.weight';
  const path = await writeEdited(at('hf-part.safetensors'), huggingFaceTensors(tensors), (all) =>
    all.delete(name),
  );
  await expect(openClipWeights(path)).rejects.toThrow(
    new RegExp(`${name} .*in_proj_weight.* is missing, expected \\[64, 64\\]`),
  );
});

test('files that are no weights are told apart', async () => {
  const write = (name: string, text: string) => {
    writeFileSync(at(name), text);
    return openTensorFile(at(name));
  };
  await expect(write('lfs', 'version https://git-lfs.github.com/spec/v1\noid')).rejects.toThrow(
    /Git LFS pointer/,
  );
  await expect(write('page', '<!DOCTYPE html><html>')).rejects.toThrow(/web page/);
  await expect(write('none', '')).rejects.toThrow(/is empty/);
  await expect(write('text', 'hello, world')).rejects.toThrow(/neither safetensors nor/);
  await expect(openTensorFile(at('absent'))).rejects.toThrow(/cannot be read \(ENOENT\)/);
  mkdirSync(at('folder'));
  cpSync(at('text'), at('folder/notes.txt'));
  await expect(openTensorFile(at('folder'))).rejects.toThrow(/holds no weights \(found: notes\.txt\)/);
});

test('a description counts parameters and says why something is no model', async () => {
  const { model, parameters, problem } = await describeWeights(at('vit.safetensors'));
  expect(problem).toBeNull();
  expect(parameters - model!.parameters).toBe(1);
  await writeSafetensors(at('strange.safetensors'), { a: shape(2) });
  expect(await describeWeights(at('strange.safetensors'))).toMatchObject({
    model: null,
    parameters: 2,
    problem: expect.stringMatching(/neither a CLIP/),
  });
});
