import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { inNaturalOrder } from '../src/common/natural-order.ts';
import { findImages } from '../src/scoring/images.ts';
import { temporaryFolder } from './temporary-folder.ts';

const scratch = temporaryFolder('find-images');
let count = 0;

/** A folder of these files; `a -> b` is a symbolic link to b. */
function folderOf(...names: string[]): string {
  const folder = join(scratch, String(count++), 'images');
  for (const name of names) {
    const [path, target] = name.split(' -> ');
    mkdirSync(dirname(join(folder, path!)), { recursive: true });
    if (target) symlinkSync(target, join(folder, path!));
    else writeFileSync(join(folder, path!), '');
  }
  return folder;
}

const names = async (folder: string, ...paths: string[]) => {
  const found = await findImages(paths.length > 0 ? paths.map((path) => join(folder, path)) : [folder]);
  return found.paths.map((path) => path.slice(folder.length + 1));
};

describe('findImages', () => {
  it('finds images in a folder and below, in the order of their names', async () => {
    const folder = folderOf('b.png', 'a/z.JPG', 'a.webp', 'a/y/x.tiff', 'notes.txt', 'noext');
    expect(await names(folder)).toEqual(['a/y/x.tiff', 'a/z.JPG', 'a.webp', 'b.png']);
  });

  it('takes a folder for a folder, whatever its name, and passes over names that begin with a dot', async () => {
    const folder = folderOf('dir.png/inside.jpg', '.hidden.jpg', '.git/objects/a.png', 'a.png');
    expect(await names(folder)).toEqual(['a.png', 'dir.png/inside.jpg']);
  });

  it('gives a file once where links lead back to a folder above', async () => {
    const folder = folderOf('a.png', 'deep/b.png', 'loop -> ..', 'deep/loop -> ..', 'deep/self -> .');
    writeFileSync(join(folder, '..', 'beside.png'), '');
    expect(await names(folder)).toEqual(['a.png', 'deep/b.png']);
  });

  it('gives a file once however many links lead to it, and follows links out of the folder', async () => {
    const elsewhere = folderOf('far.png', 'sub/farther.png');
    const folder = folderOf('a.png', 'b.png -> a.png', `far -> ${elsewhere}`, `again -> ${elsewhere}/sub`);
    expect(await names(folder)).toEqual(['a.png', 'again/farther.png', 'far/far.png']);
    expect(await names(folder, 'b.png', 'a.png', '')).toEqual(['b.png', 'again/farther.png', 'far/far.png']);
  });

  it('ends where two folders link to each other', async () => {
    const folder = folderOf('a/a.png', 'b/b.png', 'a/to-b -> ../b', 'b/to-a -> ../a');
    expect(await names(folder)).toEqual(['a/a.png', 'a/to-b/b.png']);
  });

  it('ends soon where folders of links lead to folders of links', async () => {
    const levels = Array.from({ length: 40 }, (_, k) => [
      `l${k}/a -> ../l${k + 1}`,
      `l${k}/b -> ../l${k + 1}`,
    ]);
    expect(await names(folderOf(...levels.flat(), 'l40/end.png'))).toHaveLength(1);
  });

  it('lists a link that leads nowhere, so that it is reported', async () => {
    expect(await names(folderOf('gone.png -> nowhere', 'self.png -> self.png'))).toEqual([
      'gone.png',
      'self.png',
    ]);
  });

  it('says so where there is nothing', async () => {
    await expect(findImages([folderOf('.hidden.png', 'notes.txt')])).rejects.toThrow(
      /^no images in .*; left out: 1 that is not an image \(\.txt 1\), 1 hidden$/,
    );
    await expect(findImages([join(scratch, 'missing')])).rejects.toThrow(/no such file or folder/);
    await expect(findImages([join(scratch, 'missing', '*.png')])).rejects.toThrow(
      /no file or folder matches/,
    );
    await expect(findImages([join(scratch, '[z-a].png')])).rejects.toThrow(/\[z-a\]\.png: is not a pattern/);
  });

  it('orders names as people do, folder by folder', async () => {
    const folder = folderOf('img10.png', 'img2.png', 'Img1.png', 'a b/x.png', 'a/img9.png', 'a/img10.png');
    expect(await names(folder)).toEqual([
      ...['a/img9.png', 'a/img10.png', 'a b/x.png'],
      ...['Img1.png', 'img2.png', 'img10.png'],
    ]);
    expect(inNaturalOrder(['b', 'B', 'a/b', 'a'])).toEqual(['a', 'a/b', 'b', 'B']);
  });

  it('says what it left out and why', async () => {
    const folder = folderOf(
      ...['a.png', 'b.png -> a.png', '.git/x.png', '.b.png', 'README', 'x.svg', 'y.SVG', 'deep/z.heic'],
    );
    expect((await findImages([folder])).leftOut).toBe(
      '4 that are not images (.svg 2, .heic 1, no extension 1), 2 hidden, 1 listed already',
    );
    expect((await findImages([join(folder, 'a.png')])).leftOut).toBe('');
  });

  it('expands patterns that no shell has expanded, files of such names first', async () => {
    const folder = folderOf(
      ...['a10.png', 'a9.png', 'b.jpg', '[x].png', 'x.png', '.a.png', 'notes.txt'],
      ...['deep/a1.png', 'deep/deeper/a2.png', '.git/a3.png'],
    );
    expect(await names(folder, 'a*.png')).toEqual(['a9.png', 'a10.png']);
    expect(await names(folder, '?.jpg', '[!b-z]?.png')).toEqual(['b.jpg', 'a9.png']);
    expect(await names(folder, '[x].png')).toEqual(['[x].png']);
    expect(await names(folder, '**/a*.png')).toEqual([
      ...['a9.png', 'a10.png', 'deep/a1.png', 'deep/deeper/a2.png'],
    ]);
    expect(await names(folder, 'd*/')).toEqual(['deep/a1.png', 'deep/deeper/a2.png']);
    expect(await names(folder, '.*')).toEqual(['.a.png', '.git/a3.png']);
    const all = await findImages([join(folder, '*')]);
    expect(all.paths.map((path) => path.slice(folder.length + 1))).toEqual(
      expect.arrayContaining(['a9.png', 'b.jpg', 'deep/a1.png']),
    );
    expect(all.leftOut).toBe('1 that is not an image (.txt 1)');
  });

  it('reads names from standard input: lines, or what find -print0 gives', async () => {
    const folder = folderOf('a.png', 'b.png', 'deep/c.png', 'odd\nname.png');
    const from = async (text: string) => {
      const chunks = [text.slice(0, 7), text.slice(7)].map((part) => Buffer.from(part));
      const { paths } = await findImages([join(folder, 'b.png'), '-'], Readable.from(chunks));
      return paths.map((path) => path.slice(folder.length + 1));
    };
    const at = (name: string) => join(folder, name);
    expect(await from(`${at('a.png')}\r\n\n${at('b.png')}\n${at('gone.png')}\n${at('deep')}`)).toEqual([
      ...['b.png', 'a.png', 'gone.png', 'deep/c.png'],
    ]);
    expect(await from(`${at('odd\nname.png')}\0${at('a.png')}\0`)).toEqual([
      ...['b.png', 'odd\nname.png', 'a.png'],
    ]);
  });
});
