import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { readMat } from '../src/data/formats/mat.ts';
import { temporaryFolder } from './temporary-folder.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/mat/${name}`, import.meta.url));
type Variables = Record<string, { shape: number[]; data: (number | null)[] }>;
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<string, Variables>;
const scratch = join(temporaryFolder('mat'), 'file.mat');

async function readBytes(bytes: Uint8Array) {
  writeFileSync(scratch, bytes);
  return readMat(scratch);
}

describe('readMat', () => {
  for (const name of ['plain', 'compressed', 'big-endian', 'mixed'])
    it(`reads ${name}.mat as SciPy does`, async () => {
      const found = await readMat(fixture(`${name}.mat`));
      expect([...found.keys()].sort()).toEqual(Object.keys(expected[name]!).sort());
      for (const [key, { shape, data }] of Object.entries(expected[name]!)) {
        expect(found.get(key)!.shape).toEqual(shape);
        expect([...found.get(key)!.data]).toEqual(data.map((value) => value ?? Number.NaN));
      }
    });

  it('refuses other files and says what they are', async () => {
    await expect(readMat(fixture('none.mat'))).rejects.toThrow(/none\.mat: cannot be read \(ENOENT\)/);
    await expect(readBytes(Buffer.from('name,mos\n0.png,3\n'))).rejects.toThrow(/not a level-5 MAT-file/);
    const withHeader = Buffer.alloc(1024);
    withHeader.write('MATLAB 7.3 MAT-file, Platform: GLNXA64', 'latin1');
    withHeader.writeUInt16LE(0x0200, 124);
    withHeader.write('IM', 126, 'latin1');
    withHeader.write('\x89HDF\r\n\x1a\n', 512, 'latin1');
    await expect(readBytes(withHeader)).rejects.toThrow(/v7\.3 \(HDF5\)/);
    await expect(readBytes(Buffer.from('\x89HDF\r\n\x1a\n'.padEnd(600), 'latin1'))).rejects.toThrow(
      /v7\.3 \(HDF5\)/,
    );
  });

  it('answers a damaged file with a UserError or numbers, never with a crash', async () => {
    for (const name of ['plain.mat', 'compressed.mat', 'big-endian.mat']) {
      const bytes = readFileSync(fixture(name));
      const tried: Buffer[] = [];
      for (let cut = 0; cut < bytes.length; cut += 29) tried.push(bytes.subarray(0, cut));
      for (let at = 124; at < bytes.length; at += 7) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 0x41;
        tried.push(damaged);
      }
      for (const damaged of tried)
        await readBytes(damaged).catch((error: unknown) => {
          if (!(error instanceof UserError)) throw error;
        });
    }
  });
});
