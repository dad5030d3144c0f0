import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collect } from '../../src/common/collect.ts';
import { uniforms } from '../../src/common/random.ts';
import { float32ToFloat16 } from '../../src/data/formats/float16.ts';
import { safetensorsBytes } from '../../src/data/formats/safetensors.ts';
import { initialHead } from '../../src/model/head.ts';
import { configMetadata } from '../../src/model/weights/config-hints.ts';
import { applySettings, defaultSettings } from '../../src/training/settings.ts';
import { type Checkpoint, trainingBytes } from '../../src/training/training-format.ts';
import { tinyConfig, tinyTensors } from '../tiny-clip.ts';

/** The pages with a tiny CLIP in place of the embedded one: the software adapter of a browser compiles that for half a minute. */

export const tinyClip = await collect(safetensorsBytes(tinyTensors(), configMetadata(tinyConfig)));
/** SHA-256 of the weights, by which a model names them. */
export const tinyId = createHash('sha256').update(tinyClip).digest('hex');

const width = 2 * 3 * tinyConfig.vision.width;
const standard = (value: number) => ({ shape: [width], data: new Float32Array(width).fill(value) });

/** A head on it, not trained. */
export const tinyModel: Checkpoint = {
  settings: applySettings(
    defaultSettings(),
    { trainer: 'image-only', pool: 'stats', layers: '1,2', scaling: 'standard', hidden: 8, weights: 'tiny' },
    'the tiny model',
  ),
  state: { epoch: 1, records: [], best: null },
  weightsId: tinyId,
  words: [],
  parameters: new Map(),
  optimizer: new Map(),
  constants: new Map([
    ...Object.entries(initialHead(width, 8, 1)).map(([name, value]) => [`head.${name}`, value] as const),
    ['features.mean', standard(0.1)],
    ['features.std', standard(1.5)],
  ]),
};

/** Features of 24 images that nobody has seen, with ratings; every fourth is held out. */
export const tinyRated = (() => {
  const [images, features] = [24, tinyConfig.vision.outputWidth!];
  const values = Float32Array.from(uniforms(images * features, 5, 0), (value) => value - 0.5);
  return {
    features: { dtype: 'F16', shape: [images, features], data: float32ToFloat16(values) },
    mos: {
      dtype: 'F32',
      shape: [images],
      data: Float32Array.from({ length: images }, (_, i) => 1 + ((i * 7) % images) / 8),
    },
    test: {
      dtype: 'U8',
      shape: [images],
      data: Uint8Array.from({ length: images }, (_, i) => Number(i % 4 === 3)),
    },
  } as const;
})();

/** Ids in the tiny vocabulary of 11: six words, the dot, start and end. */
export const tinyVocabulary = {
  size: 11,
  start: 9,
  end: 10,
  texts: { terrible: [0], bad: [1], poor: [2], average: [3], good: [4], perfect: [5, 6], '.': [8] },
};

const types: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
  json: 'application/json',
  jpg: 'image/jpeg',
};

const files: Readonly<Record<string, Uint8Array | string>> = {
  '/data/clip.safetensors': tinyClip,
  '/data/quality.safetensors': await collect(trainingBytes(tinyModel)),
  '/data/rated.safetensors': await collect(safetensorsBytes(tinyRated)),
  '/data/vocabulary.json': JSON.stringify(tinyVocabulary),
};

/** Serves dist/web/ with the tiny model in it. */
export function tinySite(
  path: string,
): { readonly type: string; readonly body: Uint8Array | string } | undefined {
  const name = path === '/' ? '/index.html' : path;
  const type = types[name.split('.').at(-1)!] ?? 'application/octet-stream';
  const body = files[name] ?? fileOf(name);
  return body === undefined ? undefined : { type, body };
}

function fileOf(name: string): Uint8Array | undefined {
  try {
    return readFileSync(join('dist/web', name));
  } catch {
    return undefined;
  }
}
