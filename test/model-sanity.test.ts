import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findNonFinite, nonFiniteTensors, requireFinite } from '../src/data/formats/finite.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { huggingFaceTensors, tinyTensors, writeEdited } from './tiny-clip.ts';

const folder = temporaryFolder('sanity');
const at = (name: string) => join(folder, name);
const tensors = tinyTensors();

async function withMetadata(config: unknown): Promise<string> {
  const path = at('metadata.safetensors');
  await writeSafetensors(path, tensors, { clip_config: JSON.stringify(config) });
  return path;
}

describe('numbers of a configuration that make no sense are refused by name', () => {
  test.each([
    [{ vision: { std: [0, 0, 0] } }, /metadata clip_config: std is 0, not a number from 0\.001 to 100/],
    [{ vision: { std: [-1, 1, 1] } }, /std is -1/],
    [{ vision: { std: [1e-320, 1, 1] } }, /std is 1e-320/],
    [{ vision: { std: [1, 1] } }, /std is \[1,1\], not three numbers/],
    [{ vision: { std: [1, null, 1] } }, /std is NaN/],
    [{ vision: { mean: [1e300, 0, 0] } }, /mean is 1e\+300/],
    [{ vision: { mean: 'gray' } }, /mean is "gray"/],
    [{ vision: { layerNormEps: 1e300 } }, /layer norm eps is 1e\+300/],
    [{ text: { layerNormEps: 0 } }, /layer norm eps is 0/],
    [{ vision: { heads: 64 } }, /width 64 .*64 heads/],
    [{ vision: { heads: 3 } }, /width 64 is not divisible by 3 heads/],
    [{ vision: { heads: 1.5 } }, /heads is 1\.5, not a positive integer/],
    [{ text: { heads: -1 } }, /heads is -1/],
    [{ vision: { activation: ['gelu'] } }, /unknown activation \["gelu"\]/],
    [null, /metadata clip_config: is null/],
  ])('%j', async (config, message) => {
    const error = await openClipWeights(await withMetadata(config)).catch((e: Error) => e);
    expect(error).toMatchObject({ name: 'UserError', message: expect.stringMatching(message) });
  });

  test('and those that do are taken', async () => {
    const eps = { layerNormEps: 1e-12 };
    const weights = await openClipWeights(
      await withMetadata({ vision: { std: [1 / 255, 1, 1], mean: [0, 0, 0], heads: 8, ...eps } }),
    );
    expect(weights.config.vision).toMatchObject({ std: [1 / 255, 1, 1], mean: [0, 0, 0], heads: 8, ...eps });
    await weights.close();
  });

  test.each([
    ['config.json', { vision_config: { layer_norm_eps: 5 } }, /config\.json: layer norm eps is 5/],
    ['config.json', { vision_config: { image_size: 12.5 } }, /image_size is 12\.5/],
    ['config.json', { vision_config: { num_attention_heads: 0 } }, /heads is 0/],
    ['preprocessor_config.json', { image_std: [0, 1, 1] }, /preprocessor_config\.json: image_std is 0/],
    ['config.json', [], /config\.json/],
  ])('%s: %j', async (name, content, message) => {
    const home = mkdtempSync(join(folder, 'hf-'));
    await writeSafetensors(join(home, 'model.safetensors'), huggingFaceTensors(tensors));
    writeFileSync(join(home, 'config.json'), '{}');
    writeFileSync(join(home, name), JSON.stringify(content));
    const error = await openClipWeights(home).catch((e: Error) => e);
    expect(error).toMatchObject({ name: 'UserError', message: expect.stringMatching(message) });
  });
});

describe('numbers that are not finite', () => {
  test('are found wherever they stand', () => {
    for (const length of [1, 2, 3, 4, 5, 8, 31]) {
      const values = new Float32Array(length).fill(-3.4e38);
      expect(findNonFinite(values)).toBeNull();
      for (let place = 0; place < length; place++) {
        for (const value of [Number.NaN, Infinity, -Infinity]) {
          const broken = values.slice();
          broken[place] = value;
          expect(findNonFinite(broken)).toEqual({ count: 1, first: place });
        }
      }
      expect(findNonFinite(values.fill(Number.NaN))).toEqual({ count: length, first: 0 });
    }
    expect(findNonFinite(new Float32Array())).toBeNull();
  });

  test('are named with their place and number', () => {
    const values = Float32Array.of(0, 1, 2, 3, Number.NaN, Infinity);
    expect(() => requireFinite(values, [2, 3], 'a.pt: tensor w')).toThrow(
      /a\.pt: tensor w holds NaN at \[1, 1\] and 1 more non-finite values/,
    );
    expect(requireFinite(values.subarray(0, 4), [4], 'w')).toHaveLength(4);
  });

  test('in weights are refused when they are read, and counted', async () => {
    const broken = { ...tensors.get('visual.conv1.weight')!, data: new Float32Array(64 * 48) };
    broken.data[64 * 48 - 1] = Number.NEGATIVE_INFINITY;
    const path = await writeEdited(at('nan.safetensors'), tensors, (all) =>
      all.set('visual.conv1.weight', broken),
    );
    const gpu = await sharedGpu();
    await expect(loadClip(gpu, path)).rejects.toThrow(
      /nan\.safetensors: tensor visual\.conv1\.weight holds -Infinity at \[63, 2, 3, 3\]/,
    );
    const file = await openTensorFile(path);
    expect(await nonFiniteTensors(file)).toEqual(
      new Map([['visual.conv1.weight', { count: 1, first: 64 * 48 - 1 }]]),
    );
    await file.close();
  });

  test('and a logit scale whose exponential is not finite', async () => {
    const path = await writeEdited(at('scale.safetensors'), tensors, (all) =>
      all.set('logit_scale', { dtype: 'F32', shape: [], data: Float32Array.of(89) }),
    );
    await expect(loadClip(await sharedGpu(), path)).rejects.toThrow(/logit_scale is 89, beyond/);
  });
});

test('token ids that are not in the vocabulary never reach the GPU', async () => {
  const path = at('tiny.safetensors');
  await writeSafetensors(path, tensors);
  const clip = await loadClip(await sharedGpu(), path, { vision: false });
  const row = [9, 1, 10, 0, 0, 0, 0];
  const encode = (...tokens: number[]) => clip.encodeTokens(Int32Array.from(tokens));
  for (const id of [-1, 11, 50_000, 2 ** 30])
    expect(() => encode(...row, ...row.with(1, id))).toThrow(
      new RegExp(`token ${id} at position 1 of row 1 is not in the vocabulary of 11`),
    );
  expect(() => encode()).toThrow(/0 tokens are not a multiple of the context length 7/);
  expect(() => encode(...row, 1)).toThrow(/8 tokens are not a multiple/);
  const features = encode(...row);
  expect((await features.read()).every(Number.isFinite)).toBe(true);
  features.dispose();
  clip.dispose();
});
