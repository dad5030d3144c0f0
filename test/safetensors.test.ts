import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 as crc32OfNode } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { crc32 } from '../src/common/crc32.ts';
import { blobSource } from '../src/data/formats/byte-source.ts';
import { readSafetensors, safetensorsBytes } from '../src/data/formats/safetensors.ts';
import { openSafetensors, writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('safetensors');

/** A file by hand: the header as given, then `bytes` bytes of data. */
function craft(name: string, header: unknown, bytes: number, headerLength?: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(headerLength ?? text.length));
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([prefix, text, Buffer.alloc(bytes)]));
  return path;
}

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

test('a file written by hand reads back, every type as float32', async () => {
  const header = {
    __metadata__: { made: 'by hand' },
    half: { dtype: 'F16', shape: [2], data_offsets: [0, 4] },
    brain: { dtype: 'BF16', shape: [1], data_offsets: [4, 6] },
    flag: { dtype: 'BOOL', shape: [2], data_offsets: [6, 8] },
    long: { dtype: 'I64', shape: [1, 1], data_offsets: [8, 16] },
    double: { dtype: 'F64', shape: [], data_offsets: [16, 24] },
    byte: { dtype: 'I8', shape: [1], data_offsets: [24, 25] },
    // At an odd offset: the format promises no alignment.
    short: { dtype: 'I16', shape: [1], data_offsets: [25, 27] },
    empty: { dtype: 'F32', shape: [0, 4], data_offsets: [27, 27] },
  };
  const path = craft('types.safetensors', header, 0);
  const data = Buffer.alloc(27);
  data.writeUInt16LE(0x3c00, 0);
  data.writeUInt16LE(0xc000, 2);
  data.writeUInt16LE(0x4049, 4);
  data.writeUInt8(1, 7);
  data.writeBigInt64LE(-7n, 8);
  data.writeDoubleLE(0.1, 16);
  data.writeInt8(-3, 24);
  data.writeInt16LE(-300, 25);
  writeFileSync(path, Buffer.concat([readFileSync(path), data]));

  const file = await openTensorFile(path);
  expect(file.format).toBe('safetensors');
  expect(file.metadata).toEqual({ made: 'by hand' });
  expect(file.tensors.get('long')).toMatchObject({ dtype: 'I64', shape: [1, 1] });
  const values = async (name: string) => [...(await file.read(name))];
  expect(await values('half')).toEqual([1, -2]);
  expect(await values('brain')).toEqual([3.140625]);
  expect(await values('flag')).toEqual([0, 1]);
  expect(await values('long')).toEqual([-7]);
  expect(await values('double')).toEqual([Math.fround(0.1)]);
  expect(await values('byte')).toEqual([-3]);
  expect(await values('short')).toEqual([-300]);
  expect(await values('empty')).toEqual([]);
  expect([...(await file.readRaw('half'))]).toEqual([0x00, 0x3c, 0x00, 0xc0]);
  await expect(file.read('absent')).rejects.toThrow(/absent/);
  await file.close();
});

test('what is written reads back, in the same bytes whatever the order', async () => {
  const a = { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;
  const b = { dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0, 0x8000) } as const;
  const c = { dtype: 'I64', shape: [], data: async () => BigInt64Array.of(9n) } as const;
  const one = join(folder, 'one.safetensors');
  const two = join(folder, 'two.safetensors');
  await writeSafetensors(one, { a, b, 'c.é': c }, { z: '1', a: 'ü' });
  await writeSafetensors(
    two,
    new Map<string, typeof a | typeof b | typeof c>([
      ['c.é', c],
      ['b', b],
      ['a', a],
    ]),
    {
      a: 'ü',
      z: '1',
    },
  );
  expect(readFileSync(one).equals(readFileSync(two))).toBe(true);

  const headerLength = Number(readFileSync(one).readBigUInt64LE());
  expect(headerLength % 8).toBe(0);
  const file = await openSafetensors(one);
  expect([...file.tensors.keys()]).toEqual(['c.é', 'a', 'b']);
  expect(file.metadata).toEqual({ a: 'ü', z: '1' });
  expect([...(await file.read('a'))]).toEqual([1, 2, 3, 4]);
  expect([...(await file.read('b'))]).toEqual([1, 0, -0]);
  expect([...(await file.read('c.é'))]).toEqual([9]);
  await file.close();
});

test('data of the wrong length leave nothing behind', async () => {
  const path = join(folder, 'wrong.safetensors');
  const tensor = { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2) } as const;
  await expect(writeSafetensors(path, { tensor })).rejects.toThrow(/tensor of shape \[3\].*12 bytes, got 8/);
  expect(readdirSync(folder).filter((name) => name.startsWith('wrong'))).toEqual([]);
});

const bad: [string, string, RegExp][] = [
  ['shorter than its length field', writeShort(), /only 3 bytes/],
  ['a header longer than the file', craft('long', {}, 0, 1 << 20), /header of 1048576 bytes/],
  ['an absurd header length', craft('absurd', {}, 0, Number.MAX_SAFE_INTEGER), /claims a header/],
  ['a header that is no JSON', craft('json', '{"a":', 0), /not JSON/],
  ['a header that is no object', craft('array', '[]', 0), /not a JSON object/],
  ['metadata that are no strings', craft('meta', { __metadata__: { a: 1 } }, 0), /__metadata__/],
  ['an entry that is no object', craft('entry', { t: 5 }, 0), /tensor t/],
  ['an unknown type', craft('type', { t: { ...f32(0, 4), dtype: 'F8_E4M3' } }, 4), /tensor t.*"F8_E4M3"/],
  [
    'a type out of the prototype',
    craft('proto', { t: { ...f32(0, 4), dtype: 'toString' } }, 4),
    /unknown type/,
  ],
  ['a negative size', craft('negative', { t: f32(0, 4, [-1]) }, 4), /tensor t has shape \[-1\]/],
  ['a fractional size', craft('fraction', { t: f32(0, 4, [0.5]) }, 4), /has shape/],
  ['absurd sizes', craft('sizes', { t: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), /tensor t of shape/],
  ['offsets unlike the shape', craft('unlike', { t: f32(0, 8, [1]) }, 8), /takes 4 bytes.*span 8/],
  ['offsets backwards', craft('back', { t: f32(8, 4, [1]) }, 8), /data offsets/],
  ['three offsets', craft('three', { t: { ...f32(0, 4), data_offsets: [0, 4, 4] } }, 4), /data offsets/],
  ['overlapping tensors', craft('overlap', { a: f32(0, 8), b: f32(4, 12) }, 12), /tensor b overlaps/],
  ['a hole', craft('hole', { a: f32(0, 4), b: f32(8, 12) }, 12), /unused bytes before tensor b/],
  ['bytes behind the last tensor', craft('rest', { a: f32(0, 4) }, 8), /4 bytes after its last/],
  ['data cut off', craft('cut', { a: f32(0, 4), b: f32(4, 12) }, 9), /tensor b ends at byte/],
];

function writeShort(): string {
  writeFileSync(join(folder, 'short'), 'abc');
  return join(folder, 'short');
}

test.each(bad)('refused: %s', async (_, path, message) => {
  const error = await openSafetensors(path).catch((e: Error) => e);
  expect(error).toMatchObject({ name: 'UserError', message: expect.stringMatching(message) });
  expect((error as Error).message).toContain(path);
});

describe('checksums', () => {
  const path = join(folder, 'sums.safetensors');
  const tensors = {
    'parameters.b': { dtype: 'F32', shape: [3], data: () => Float32Array.of(1, 2, 3) },
    'parameters.a': { dtype: 'F32', shape: [2], data: Float32Array.of(4, 5) },
    '7': { dtype: 'U8', shape: [0], data: new Uint8Array() },
    zero: { dtype: 'U8', shape: [1], data: Uint8Array.of(9) },
  } as const;
  const readAll = async () => {
    const file = await openSafetensors(path);
    try {
      for (const name of file.tensors.keys()) await file.read(name);
      return { names: [...file.tensors.keys()].sort(), metadata: file.metadata };
    } finally {
      await file.close();
    }
  };

  it('stay out of sight', async () => {
    await writeSafetensors(path, tensors, { state: '{}' }, { checksums: true });
    expect(await readAll()).toEqual({ names: Object.keys(tensors).sort(), metadata: { state: '{}' } });
  });

  it('find any flipped bit', async () => {
    await writeSafetensors(path, tensors, { state: '{}' }, { checksums: true });
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(path, flipped);
      await expect(readAll(), `byte ${at}`).rejects.toMatchObject({ name: 'UserError' });
    }
  });

  it('are not asked of files that have none', async () => {
    await writeSafetensors(path, tensors);
    const whole = readFileSync(path);
    whole[whole.length - 1]! ^= 1;
    writeFileSync(path, whole);
    expect((await readAll()).names).toHaveLength(4);
  });
});

describe('without a file', () => {
  it('a model is read from a Blob as from the disk, and checked alike', async () => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const tensors = { weight: { dtype: 'F32', shape: [3], data: Float32Array.of(1, -2, 0.5) } } as const;
    for await (const part of safetensorsBytes(tensors, { a: 'b' }, { checksums: true }))
      parts.push(new Uint8Array(part));
    const file = await readSafetensors(blobSource(new Blob(parts), 'dropped.safetensors'));
    expect(file.metadata).toEqual({ a: 'b' });
    expect([...(await file.read('weight'))]).toEqual([1, -2, 0.5]);
    await file.close();
    const path = join(folder, 'same.safetensors');
    await writeSafetensors(path, tensors, { a: 'b' }, { checksums: true });
    expect(readFileSync(path).equals(Buffer.concat(parts))).toBe(true);

    const whole = Buffer.concat(parts);
    whole[whole.length - 1]! ^= 1;
    const damaged = await readSafetensors(
      blobSource(new Blob([whole.subarray(0, -1), whole.subarray(-1)]), 'x'),
    )
      .then((opened) => opened.read('weight'))
      .catch((error: Error) => error.message);
    expect(damaged).toMatch(/^x: .*does not match its checksum$/);
    await expect(readSafetensors(blobSource(new Blob([whole.subarray(0, 40)]), 'cut'))).rejects.toThrow(
      /^cut: claims a header/,
    );
    await expect(blobSource(new Blob(parts), 'short').read(whole.length - 4, 8)).rejects.toThrow(
      /^short: ends at byte \d+, but bytes/,
    );
  });

  it.each([0, 1, 7, 8, 9, 63, 1000])('the checksum of %i bytes is that of zip files', (length) => {
    const bytes = Uint8Array.from({ length: length + 3 }, (_, i) => (i * 167 + 13) % 256).subarray(3);
    expect(crc32(bytes)).toBe(crc32OfNode(bytes));
    expect(crc32(bytes, 12345)).toBe(crc32OfNode(bytes, 12345));
  });
});
