import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { timmDefaults } from '../src/model/config.ts';
import { huggingFaceTensors, timmTensors, tinyConfig, tinyTensors } from './tiny-clip.ts';

const fixtures = resolve('test/fixtures');

/**
 * Makes in `home` everything that documents and help pages name, tiny: datasets, images, tables, weights. What commands make
 * (weights by --spec, training runs) the test makes by commands of ours.
 */
export async function fillSandbox(home: string): Promise<void> {
  const at = (...names: string[]) => join(home, ...names);
  const copy = (from: string, to: string) => cpSync(join(fixtures, from), at(to), { recursive: true });
  symlinkSync(resolve('dist'), at('dist'));

  for (const name of ['AGIQA-3K', 'DIR', 'images', 'folder', 'photos', 'pictures'])
    copy('datasets/agiqa-3k', name);
  copy('datasets/agiqa-3k/AttnGAN_normal_000.jpg', 'a.jpg');
  copy('datasets/aigciqa2023', 'AIGCIQA2023');
  copy('datasets/aigciqa2023/MOS', 'MOS');
  copy('datasets/aigciqa2023/MOS/mosz1.mat', 'scores.mat');
  tables(at);

  // 64 columns in the joint space, as the results of the published trainer below have.
  const spec = readFileSync(join(fixtures, 'tiny-clip.json'), 'utf8').replaceAll('[64, 32]', '[64, 64]');
  writeFileSync(at('sweep.yaml'), 'lr: [0.001, 0.01]\nseed: [1]\n');
  for (const name of ['weights.json', 'spec.json']) writeFileSync(at(name), spec);
  for (const name of [
    'nctx16_cscFalse_ctpend/seed1',
    'output/AGIQA/CLIP_AGIQA/vit_b16_ep100_1shots/nctx16_cscFalse_ctpend/seed1',
    'PUBLISHED/seed1',
    'seed1',
  ])
    copy('reference/tiny/original-checkpoint', name);
  copy(
    'reference/tiny/original-checkpoint/prompt_learner/model.pth.tar-100',
    'seed1/prompt_learner/model.pth.tar-50',
  );
  await imageTowers(at);

  await writeSafetensors(
    at('inputs.safetensors'),
    new Map([
      ['images', { dtype: 'F32', shape: [2, 3, 64, 64], data: new Float32Array(2 * 3 * 64 * 64).fill(0.5) }],
      [
        'tokens',
        {
          dtype: 'I32',
          shape: [1, 77],
          data: Int32Array.from({ length: 77 }, (_, i) => [49406, 320, 49407][i] ?? 0),
        },
      ],
    ]),
  );
  for (const name of ['reference', 'DIR', 'test/fixtures/reference']) {
    copy('reference/tiny', `${name}/tiny`);
    for (const file of ['lr-schedule', 'metrics', 'splits', 'tokenizer'])
      copy(`reference/${file}.json`, `${name}/${file}.json`);
  }
  await makeScenes(at('cache', 'clip-agiqa-webgpu', 'scenes-2'), {
    scenes: 10,
    versions: 2,
    size: 64,
    seed: 3,
  });
}

function tables(at: (...names: string[]) => string): void {
  const [, ...rows] = readFileSync(join(fixtures, 'datasets/agiqa-3k/data.csv'), 'utf8').trim().split('\n');
  const images = rows.map((row) => row.slice(0, row.indexOf(',')));
  const table = (name: string, header: string, line: (image: string, i: number) => string) =>
    writeFileSync(at(name), `${[header, ...images.map(line)].join('\n')}\n`);
  table(
    'scores.csv',
    'name,mos,split,prompt',
    (image, i) => `${image},${i % 5},${i % 4 ? 'train' : 'test'},a drawing of ${i} squares`,
  );
  table('labels.csv', 'name,label', (image, i) => `${image},${i % 2 ? 'cat' : 'dog'}`);
  // Captions beside the images, for what takes pairs from a folder.
  for (const [i, image] of images.entries())
    writeFileSync(at('images', image.replace(/\.\w+$/, '.txt')), `a drawing of ${i} squares`);
  table('prompts.csv', 'name,prompt', (image, i) => `images/${image},a drawing of ${i} squares`);
  table(
    'captions.csv',
    'image,file,caption',
    (image, i) => `images/${image},images/${image},a drawing of ${i} squares`,
  );
}

/** Weights of other projects' layouts: Hugging Face's folder of a CLIP, and a plain vision transformer of twelve blocks. */
async function imageTowers(at: (...names: string[]) => string): Promise<void> {
  mkdirSync(at('clip-vit-base-patch16'));
  await writeSafetensors(at('clip-vit-base-patch16', 'model.safetensors'), huggingFaceTensors(tinyTensors()));
  const vision = {
    ...tinyConfig.vision,
    ...timmDefaults,
    imageSize: 32,
    patchSize: 16,
    layers: 12,
    preNorm: false,
    patchBias: true,
  };
  const tensors = tinyTensors({ vision: { ...vision, outputWidth: null }, text: null });
  mkdirSync(at('deit-tiny'));
  await writeSafetensors(at('deit-tiny', 'model.safetensors'), timmTensors(tensors));
}
