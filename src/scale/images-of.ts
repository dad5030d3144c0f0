import { existsSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { findImages } from '../scoring/images.ts';
import { openList } from './list-reader.ts';
import { commonRoot, isWithin, realRoot } from './locate.ts';
import type { Cell, ManifestRow } from './manifest.ts';
import { objectsOf } from './objects-of.ts';
import type { PlannedImages } from './planned-images.ts';
import { isS3 } from './s3/s3-url.ts';
import type { Column } from './table.ts';
import { expandRanges } from './tar.ts';

export interface ImagesRequest {
  /** Files, folders and patterns, as `score` takes them. */
  readonly images: readonly string[];
  readonly list?: string | undefined;
  readonly imageColumn?: string | undefined;
  readonly promptColumn?: string | undefined;
  readonly root?: string | undefined;
}

/** Finds the images of a request. Those of a list are read as they are asked for, and are not looked for before their shard is. */
export async function imagesOf(request: ImagesRequest): Promise<PlannedImages> {
  const { images, list, root } = request;
  if (list !== undefined) return listed(list, request);
  if (images.some(isS3)) return objectsOf(images, root);
  const tars = images.flatMap(expandRanges);
  const unit = tars.every((name) => /\.tar$/i.test(name)) ? 'tar' : 'image';
  const { paths, places, leftOut } =
    unit === 'tar' ? { ...existing(tars), leftOut: '' } : await findImages(images);
  const none = { extra: [], prompts: false, unit, leftOut: () => leftOut } as const;
  if (root === undefined) {
    const common = commonRoot(paths, places);
    return { ...none, root: common.root, rows: rowsOf(paths, common.files) };
  }
  const top = realRoot(root);
  const files = paths.map((path) => {
    const file = relative(top, resolve(path));
    if (!isWithin(top, resolve(path)))
      throw new UserError(`${path} does not lie in --root ${root}`, 'Name a folder that holds all images.');
    return file;
  });
  return { ...none, root: top, rows: rowsOf(paths, files) };
}

function existing(tars: readonly string[]): { paths: readonly string[]; places: readonly string[] } {
  const missing = tars.find((name) => !existsSync(name));
  if (missing === undefined) return { paths: tars, places: tars.map((tar) => realpathSync(tar)) };
  throw new UserError(`${missing}: no such file`, 'Name tars that are there, such as data-{000..099}.tar.');
}

function* rowsOf(paths: readonly string[], files: readonly string[]): Iterable<ManifestRow> {
  for (const [i, path] of paths.entries()) yield path === files[i] ? { path } : { path, file: files[i]! };
}

const imageColumns = ['name', 'filename', 'image', 'path', 'file', 'image_path', 'file_name'];

async function listed(list: string, request: ImagesRequest): Promise<PlannedImages> {
  const file = await openList(list);
  const names = file.columns.map(({ name }) => name);
  const find = (wanted: readonly string[], option: string): string => {
    const found = wanted.find((name) => names.includes(name));
    if (found !== undefined) return found;
    throw new UserError(
      `${list} has no column ${wanted.join(' or ')}; it has ${names.join(', ') || 'none'}`,
      `Name it with ${option}.`,
    );
  };
  const { imageColumn, promptColumn, root = folderOf(list) } = request;
  const image = find(imageColumn === undefined ? imageColumns : [imageColumn], '--image-column');
  const prompt = promptColumn ?? (names.includes('prompt') ? 'prompt' : undefined);
  if (prompt !== undefined) find([prompt], '--prompt-column');
  const taken = new Set([image, 'path', 'score', 'error']);
  const extra = file.columns.filter(({ name }) => !taken.has(name));
  const top = realRoot(root);
  return {
    root: top,
    extra,
    prompts: prompt !== undefined,
    unit: 'image',
    leftOut: () => '',
    rows: (async function* () {
      let number = 0;
      for await (const row of file.rows()) {
        number++;
        const path = row[image];
        if (typeof path !== 'string' || path === '')
          throw new UserError(`${list}, row ${number}: ${image} is empty`, 'Fix or remove that row.');
        const inside = isAbsolute(path) && !isS3(top) ? { file: relative(top, realRoot(path)) } : {};
        const text = prompt === undefined ? undefined : row[prompt];
        yield {
          path,
          ...inside,
          ...(typeof text === 'string' && text !== '' && { prompt: text }),
          ...(extra.length > 0 && { extra: extra.map((column) => cellOf(row[column.name], column)) }),
        };
      }
    })(),
  };
}

/** The folder or prefix that a list lies in. */
const folderOf = (list: string): string =>
  isS3(list) ? list.slice(0, list.lastIndexOf('/')) : dirname(list);

function cellOf(value: unknown, { type }: Column): Cell {
  if (value === undefined || value === null) return null;
  if (type === 'double') {
    const number = Number(value);
    return Number.isFinite(number) ? number : null;
  }
  return typeof value === 'string'
    ? value
    : JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v));
}
