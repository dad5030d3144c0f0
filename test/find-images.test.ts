import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findImages } from '../src/scoring/images.ts';

const scratch = mkdtempSync(join(tmpdir(), 'find-images-'));
afterAll(() => rmSync(scratch, { recursive: true }));
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

const names = (folder: string, ...paths: string[]) =>
  findImages(paths.length > 0 ? paths.map((path) => join(folder, path)) : [folder]).map((path) =>
    path.slice(folder.length + 1),
  );

describe('findImages', () => {
  it('finds images in a folder and below, in the order of their names', () => {
    const folder = folderOf('b.png', 'a/z.JPG', 'a.webp', 'a/y/x.tiff', 'notes.txt', 'noext');
    expect(names(folder)).toEqual(['a.webp', 'a/y/x.tiff', 'a/z.JPG', 'b.png']);
  });

  it('takes a folder for a folder, whatever its name, and passes over names that begin with a dot', () => {
    const folder = folderOf('dir.png/inside.jpg', '.hidden.jpg', '.git/objects/a.png', 'a.png');
    expect(names(folder)).toEqual(['a.png', 'dir.png/inside.jpg']);
  });

  it('gives a file once where links lead back to a folder above', () => {
    const folder = folderOf('a.png', 'deep/b.png', 'loop -> ..', 'deep/loop -> ..', 'deep/self -> .');
    writeFileSync(join(folder, '..', 'beside.png'), '');
    expect(names(folder)).toEqual(['a.png', 'deep/b.png']);
  });

  it('gives a file once however many links lead to it, and follows links out of the folder', () => {
    const elsewhere = folderOf('far.png', 'sub/farther.png');
    const folder = folderOf('a.png', 'b.png -> a.png', `far -> ${elsewhere}`, `again -> ${elsewhere}/sub`);
    expect(names(folder)).toEqual(['a.png', 'again/farther.png', 'far/far.png']);
    expect(names(folder, 'b.png', 'a.png', '')).toEqual(['b.png', 'again/farther.png', 'far/far.png']);
  });

  it('ends where two folders link to each other', () => {
    const folder = folderOf('a/a.png', 'b/b.png', 'a/to-b -> ../b', 'b/to-a -> ../a');
    expect(names(folder)).toEqual(['a/a.png', 'a/to-b/b.png']);
  });

  it('ends soon where folders of links lead to folders of links', () => {
    const levels = Array.from({ length: 40 }, (_, k) => [
      `l${k}/a -> ../l${k + 1}`,
      `l${k}/b -> ../l${k + 1}`,
    ]);
    expect(names(folderOf(...levels.flat(), 'l40/end.png'))).toHaveLength(1);
  });

  it('lists a link that leads nowhere, so that it is reported', () => {
    expect(names(folderOf('gone.png -> nowhere', 'self.png -> self.png'))).toEqual(['gone.png', 'self.png']);
  });

  it('says so where there is nothing', () => {
    expect(() => findImages([folderOf('.hidden.png', 'notes.txt')])).toThrow(/no images in/);
    expect(() => findImages([join(scratch, 'missing')])).toThrow(/no such file or folder/);
  });
});
