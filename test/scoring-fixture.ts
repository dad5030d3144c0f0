import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { normals } from '../src/common/random.ts';
import { visionFeature } from '../src/features/feature-extractor.ts';
import { poolWidth } from '../src/model/pooling.ts';
import { weightsPath } from '../src/model/weights/embedded.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { weightsId } from '../src/model/weights/weights-id.ts';
import { writeCheckpoint } from '../src/training/checkpoint.ts';
import { defaultSettings, type Settings } from '../src/training/settings.ts';

/** Writes a model with a head of random numbers on the features of these weights. */
export async function writeModel(
  path: string,
  weights: string,
  edit: (head: Map<string, { shape: number[]; data: Float32Array }>) => void = () => {},
  given: Partial<Settings> = {},
): Promise<string> {
  const opened = await openClipWeights(weightsPath(weights));
  const { vision } = opened.config;
  await opened.close();
  const settings: Settings = { ...defaultSettings(), weights, trainer: 'image-only', ...given };
  const feature = visionFeature(vision, settings);
  const input =
    feature.kind === 'projected'
      ? (vision.outputWidth ?? vision.width)
      : feature.blocks.length * poolWidth(feature.pool) * vision.width;
  const hidden = 16;
  const random = (shape: number[], stream: number) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return { shape, data: Float32Array.from(normals(count, 1, stream)) };
  };
  const head = new Map([
    ['head.1.weight', random([hidden, input], 1)],
    ['head.1.bias', random([hidden], 2)],
    ['head.4.weight', random([1, hidden], 3)],
    ['head.4.bias', random([1], 4)],
  ]);
  edit(head);
  await writeCheckpoint(path, {
    settings,
    state: { epoch: 1, records: [], best: null },
    weightsId: await weightsId(weightsPath(weights)),
    words: [],
    parameters: new Map(),
    optimizer: new Map(),
    constants: head,
  });
  return path;
}

/** Draws images that differ, and gives their paths. */
export async function drawImages(folder: string, count: number): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const side = 24;
  return Promise.all(
    Array.from({ length: count }, async (_, k) => {
      const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * (k + 3) * 7 + k * 31) % 256);
      const path = join(folder, `${String(k).padStart(3, '0')}.png`);
      await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
        .png()
        .toFile(path);
      return path;
    }),
  );
}
