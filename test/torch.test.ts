import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openTensorFile, type TensorFile } from '../src/data/formats/tensor-file.ts';
import { writeTorchScript } from '../src/data/formats/torchscript-writer.ts';
import { randomIntegers } from './reference/values.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { zip } from './zip.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/torch/${name}`, import.meta.url));
const expected: Record<string, Record<string, { shape: number[]; values: number[] }>> = JSON.parse(
  // PyTorch prints an infinite float32 as JavaScript's JSON cannot read it.
  readFileSync(fixture('expected.json'), 'utf8').replaceAll('-Infinity', '-1e999'),
);
const folder = temporaryFolder('torch');

async function expectTensors(file: TensorFile, wanted: (typeof expected)[string]): Promise<void> {
  expect([...file.tensors.keys()].sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, { shape, values }] of Object.entries(wanted)) {
    expect(file.tensors.get(name)!.shape, name).toEqual(shape);
    expect([...(await file.read(name))], name).toEqual(values.map(Math.fround));
  }
}

test.each([
  ['views.pt', 'torch zip', 'views'],
  ['views-legacy.pt', 'torch legacy', 'views'],
  ['checkpoint.pt', 'torch zip', 'checkpoint'],
  ['checkpoint-legacy.pt', 'torch legacy', 'checkpoint'],
  ['script.pt', 'torchscript', 'script'],
])('%s reads as PyTorch reads it', async (name, format, key) => {
  const file = await openTensorFile(fixture(name));
  expect(file.format).toBe(format);
  await expectTensors(file, expected[key]!);
  await file.close();
});

test('element types are kept, raw bytes are row-major, scalars beside the tensors are metadata', async () => {
  const file = await openTensorFile(fixture('views.pt'));
  for (const type of ['F64', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL']) {
    expect(file.tensors.get(type)!.dtype).toBe(type);
  }
  expect([...(await file.readRaw('cube')).subarray(0, 6)]).toEqual([0, 0, 4, 0, 8, 0]);
  await file.close();
  const checkpoint = await openTensorFile(fixture('checkpoint.pt'));
  expect(checkpoint.metadata).toEqual({ epoch: '7', val_result: '0.5', best: '3' });
  await checkpoint.close();
});

test('a pickled module is refused by name', async () => {
  await expect(openTensorFile(fixture('whole-module.pt'))).rejects.toThrow(
    /refers to torch\.nn\.modules\.linear\.Linear/,
  );
});

const tensorPickle = (storage: string, shape: string, strides: string, offset = 'K\x00') =>
  `\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n${storage}\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ${offset}(${shape}t(${strides}t\x89}tRs.`;
const archive = (name: string, pickle: string, more: Record<string, Buffer> = {}) => {
  const path = join(folder, name);
  writeFileSync(path, zip({ 'x/data.pkl': Buffer.from(pickle, 'latin1'), ...more }));
  return path;
};
const data = { 'x/data/0': Buffer.alloc(16) };
const fits = tensorPickle('FloatStorage', 'K\x04', 'K\x01');

test('the archive written here for the cases below is sound', async () => {
  const file = await openTensorFile(archive('sound.pt', fits, data));
  expect([...(await file.read('w'))]).toEqual([0, 0, 0, 0]);
  await file.close();
});

test('compressed entries are read too, and their damage is noticed', async () => {
  const path = join(folder, 'deflated.pt');
  const entries = {
    'x/data.pkl': Buffer.from(fits, 'latin1'),
    'x/data/0': Buffer.from(Float32Array.of(1, 2, 3, 4).buffer),
  };
  const whole = zip(entries, Object.keys(entries));
  writeFileSync(path, whole);
  const file = await openTensorFile(path);
  expect([...(await file.read('w'))]).toEqual([1, 2, 3, 4]);
  await file.close();
  whole.fill(0xff, 60, 80);
  writeFileSync(path, whole);
  await expect(openTensorFile(path)).rejects.toThrow(/zip archive is damaged/);
});

const last = 'J\xff\xff\xff\x7f';
test.each([
  ['a call of os.system', '\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.', {}, /refers to os\.system/],
  ['a missing storage', fits, {}, /tensor w is in storage 0, which the file does not contain/],
  [
    'a short storage',
    fits,
    { 'x/data/0': Buffer.alloc(15) },
    /tensor w needs 16 bytes of storage 0, which has 15/,
  ],
  ['an offset beyond', tensorPickle('FloatStorage', 'K\x04', 'K\x01', last), data, /needs \d+ bytes/],
  ['strides beyond', tensorPickle('FloatStorage', 'K\x04', 'K\x02'), data, /needs 28 bytes/],
  ['a negative stride', tensorPickle('FloatStorage', 'K\x04', 'J\xff\xff\xff\xff'), data, /-1 is not a size/],
  [
    'a huge expansion',
    tensorPickle('FloatStorage', last + last, 'K\x00K\x00'),
    data,
    /tensor w of shape \[2147483647,2147483647\] takes [\d,]+ bytes, more than the limit of/,
  ],
  ['unlike ranks', tensorPickle('FloatStorage', 'K\x04', ''), data, /different numbers/],
  ['an unknown storage', tensorPickle('QInt8Storage', 'K\x04', 'K\x01'), data, /torch\.QInt8Storage/],
  ['a class as storage', tensorPickle('Size', 'K\x04', 'K\x01'), data, /torch\.Size is not a storage/],
  ['no tensors', '\x80\x02}.', {}, /holds no tensors/],
  ['a big-endian file', fits, { ...data, 'x/byteorder': Buffer.from('big') }, /big-endian/],
  [
    'dicts that multiply',
    `\x80\x02N${'q\x00}(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00u'.repeat(60)}.`,
    {},
    /more than 1000000 entries/,
  ],
  ['a cyclic state dict', '\x80\x02}q\0X\x01\0\0\0ah\0s.', {}, /holds no tensors/],
])('refused: %s', async (name, pickle, more, message) => {
  const path = archive(`${name}.pt`, pickle, more);
  const error = await openTensorFile(path).catch((e: Error) => e);
  expect(error).toMatchObject({ name: 'UserError', message: expect.stringMatching(message) });
  expect((error as Error).message).toContain(path);
});

test('a zip of something else, and one with two entries of one name', async () => {
  const path = join(folder, 'other.zip');
  writeFileSync(path, zip({ 'a.txt': Buffer.from('a') }));
  await expect(openTensorFile(path)).rejects.toThrow(/without a data\.pkl/);
  const twice = zip({ 'x/data.pkl': Buffer.from('N.'), 'y/data.pkl': Buffer.from('N.') });
  writeFileSync(path, Buffer.from(twice.toString('latin1').replaceAll('y/data', 'x/data'), 'latin1'));
  await expect(openTensorFile(path)).rejects.toThrow(/two entries are named x\/data\.pkl/);
});

test.each(['views.pt', 'script.pt', 'views-legacy.pt', 'checkpoint-legacy.pt'])(
  '%s cut off anywhere is a UserError',
  async (name) => {
    const whole = readFileSync(fixture(name));
    const path = join(folder, `cut-${name}`);
    writeFileSync(path, whole);
    for (let length = whole.length - 1; length >= 0; length -= 97) {
      truncateSync(path, length);
      await expect(openTensorFile(path)).rejects.toMatchObject({ name: 'UserError' });
    }
  },
);

test('bytes changed at random give values or a UserError, never anything else', async () => {
  const path = join(folder, 'fuzzed.pt');
  const random = randomIntegers(1);
  for (const name of ['views.pt', 'checkpoint-legacy.pt']) {
    const whole = readFileSync(fixture(name));
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(whole);
      for (let i = 0; i < 5; i++) changed[random(Math.min(whole.length, 3000))] = random(256);
      writeFileSync(path, changed);
      let file: TensorFile | undefined;
      try {
        file = await openTensorFile(path);
        for (const tensor of file.tensors.keys()) await file.read(tensor);
      } catch (error) {
        expect(error, String((error as Error).stack)).toMatchObject({ name: 'UserError' });
      } finally {
        await file?.close();
      }
    }
  }
});

test('what writeTorchScript writes reads back, in the same bytes each time', async () => {
  const tensors = new Map([
    [
      'visual.proj',
      { dtype: 'F16', shape: [2, 2], data: Uint16Array.of(0x3c00, 0, 0x4000, 0xbc00) } as const,
    ],
    ['visual.ln.weight', { dtype: 'F32', shape: [3], data: () => Float32Array.of(1, 2, 3) } as const],
    ['scale', { dtype: 'F32', shape: [], data: async () => Float32Array.of(4.5) } as const],
  ]);
  const [one, two] = [join(folder, 'one.pt'), join(folder, 'two.pt')];
  await writeTorchScript(one, tensors);
  await writeTorchScript(two, tensors);
  expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
  const file = await openTensorFile(one);
  expect(file.format).toBe('torchscript');
  expect([...file.tensors.values()]).toEqual([
    { name: 'visual.proj', dtype: 'F16', shape: [2, 2] },
    { name: 'visual.ln.weight', dtype: 'F32', shape: [3] },
    { name: 'scale', dtype: 'F32', shape: [] },
  ]);
  expect([...(await file.read('visual.proj'))]).toEqual([1, 0, 2, -1]);
  expect([...(await file.read('scale'))]).toEqual([4.5]);
  await file.close();
});
