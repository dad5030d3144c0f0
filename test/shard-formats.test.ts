import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { npyBytes } from '../src/data/formats/npy.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { tables } from '../src/scale/tables.ts';
import { expandRanges } from '../src/scale/tar.ts';
import { runBuilt } from './built-command.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { merged, work } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('shard-formats');
const images = join(folder, 'images');
const weights = resolve('test/fixtures/tiny-clip.json');
let features: Float32Array;

beforeAll(async () => {
  await drawImages(images, 10);
  writeFileSync(join(images, '0035.png'), 'no image'); // between 003 and 004 in natural order it is not: it comes last
  const out = join(folder, 'one.safetensors');
  expect(runBuilt('encode', ['--weights', weights, '--image', images, '--out', out]).status).toBe(0);
  const file = await openTensorFile(out);
  features = (await file.read('image_features')) as Float32Array;
  await file.close();
});

/** A run of `encode` in three shards of four images. */
async function encode(name: string, ...args: string[]): Promise<string> {
  const out = join(folder, name);
  const all = [
    '--weights',
    weights,
    '--image',
    images,
    '--out',
    `${out}/`,
    '--shard-size',
    '4',
    '--plan-only',
    ...args,
  ];
  expect(runBuilt('encode', all)).toMatchObject({ status: 0 });
  await work(out);
  return out;
}

/** The header and the numbers of a .npy file. */
function npy(path: string) {
  const bytes = readFileSync(path);
  const start = 10 + bytes.readUInt16LE(8);
  expect(start % 64).toBe(0);
  return {
    header: bytes.subarray(10, start).toString().trim(),
    data: new Uint8Array(bytes.subarray(start)).buffer,
  };
}

describe('features', () => {
  it("come in clip-retrieval's layout, the bits of one process", async () => {
    const out = await encode('npy');
    const parts = [0, 1, 2].map((i) => npy(join(out, `img_emb/img_emb_${i}.npy`)));
    expect(parts.map(({ header }) => header)).toEqual(
      [4, 4, 2].map((n) => `{'descr': '<f4', 'fortran_order': False, 'shape': (${n}, 32), }`),
    );
    expect(parts.flatMap(({ data }) => [...new Float32Array(data)])).toEqual([...features]);
    const path = [{ name: 'image_path', type: 'string' }] as const;
    const file = join(out, 'metadata/metadata_0.parquet');
    const names = await tables.parquet.decode(path, readFileSync(file), file);
    expect(names.flat()).toEqual(['000', '001', '002', '003'].map((name) => join(images, `${name}.png`)));
    expect(existsSync(join(out, 'errors/errors_0.jsonl'))).toBe(false);
    expect(await merged(out, { errors: true })).toMatch(
      /^path,error\n.*0035\.png,.*0035\.png: not a readable image.*\n$/,
    );
  });

  it('are of unit length where asked for, in shards and in one file', async () => {
    const out = await encode('unit', '--normalize');
    const found = [0, 1, 2].flatMap((i) => [
      ...new Float32Array(npy(join(out, `img_emb/img_emb_${i}.npy`)).data),
    ]);
    expect(found).toHaveLength(features.length);
    for (let i = 0; i < found.length; i += 32) {
      const given = features.subarray(i, i + 32);
      const length = Math.hypot(...given);
      expect(length).not.toBeCloseTo(1, 2);
      for (const [j, value] of given.entries()) expect(found[i + j]).toBeCloseTo(value / length, 6);
    }
    const one = join(folder, 'unit.safetensors');
    const args = ['--weights', weights, '--image', images, '--text', 'a cat', '--normalize', '--out', one];
    expect(runBuilt('encode', args).status).toBe(0);
    const file = await openTensorFile(one);
    expect([...(await file.read('image_features'))]).toEqual(found);
    expect(Math.hypot(...(await file.read('text_features')))).toBeCloseTo(1, 6);
    await file.close();
  });

  it('come as safetensors, in half the bytes where asked for', async () => {
    const out = await encode('half', '--format', 'safetensors', '--feature-type', 'float16');
    const found: number[] = [];
    for (const i of [0, 1, 2]) {
      const file = await openTensorFile(join(out, `out/000/features-00000${i}.safetensors`));
      expect(file.tensors.get('image_features')?.dtype).toBe('F16');
      found.push(...(await file.read('image_features')));
      await file.close();
    }
    expect(found).toHaveLength(features.length);
    for (const [i, value] of found.entries())
      expect(Math.abs(value - features[i]!)).toBeLessThanOrEqual(
        2 ** -11 * Math.abs(features[i]!) + 2 ** -25,
      );
    expect(await merged(out, { errors: true })).toMatch(/0035\.png: not a readable image/);
  });
});

it('a tar is a shard, whose images score as their files do', async () => {
  const model = await writeModel(join(folder, 'model.safetensors'), weights);
  const tar = (name: string, ...members: string[]) =>
    execFileSync('tar', ['-cf', join(folder, name), '-C', images, ...members]);
  tar('data-08.tar', '003.png', '001.png');
  tar('data-09.tar', '0035.png');
  tar('data-10.tar', '009.png');
  const out = join(folder, 'tars');
  const args = [join(folder, 'data-{08..10}.tar'), '--model', model, '--out', out, '--plan-only'];
  expect(runBuilt('score', args)).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('3 tars in 3 shards'),
  });
  await work(out);
  const plain = runBuilt('score', [images, '--model', model, '--csv', '-']).stdout.replaceAll(
    `${images}/`,
    '',
  );
  const line = (name: string) => plain.split('\n').find((one) => one.startsWith(name));
  expect(await merged(out)).toBe(
    `${['path,score,error', ...['003', '001', '0035', '009'].map((name) => line(`${name}.png`))].join('\n')}\n`,
  );
  const bytes = readFileSync(join(folder, 'data-08.tar'));
  writeFileSync(join(folder, 'torn.tar'), bytes.subarray(0, 700));
  const torn = join(folder, 'torn');
  runBuilt('score', [join(folder, 'torn.tar'), '--model', model, '--out', torn, '--plan-only']);
  await expect(work(torn)).rejects.toThrow(/torn\.tar: /);
  expect(existsSync(join(torn, 'out'))).toBe(false);
});

it('ranges in braces are expanded', () => {
  expect(expandRanges('a-{08..11}.tar')).toEqual(['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']);
  expect(expandRanges('{0..1}/{1..2}')).toEqual(['0/1', '0/2', '1/1', '1/2']);
  expect(expandRanges('plain')).toEqual(['plain']);
  expect(() => expandRanges('{5..4}')).toThrow(/is no range/);
  expect(() => expandRanges('{0..999999999}')).toThrow(/is no range/);
});

it('npy files are what the format says', () => {
  expect([...npyBytes(1, 2, new Float32Array([1, -2])).subarray(0, 10)]).toEqual([
    ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0],
  ]);
  expect(() => npyBytes(2, 2, new Float32Array(3))).toThrow();
});
