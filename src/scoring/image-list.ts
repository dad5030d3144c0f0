import { dirname, extname, resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { anyObject, parseJson } from '../common/json.ts';
import { checkLimit } from '../common/limits.ts';
import { readText } from '../common/read-file.ts';
import { locateImages } from '../data/datasets/images.ts';
import { type CsvTable, findColumn, readCsv, requireColumn } from '../data/formats/csv.ts';

/** Images with the texts they were made from. */
export interface ImageList {
  readonly paths: readonly string[];
  /** In the order of the paths, undefined where one has none; null where the list has no prompts. */
  readonly prompts: readonly (string | undefined)[] | null;
  /** What is worth telling of how it was read. */
  readonly note?: string;
}

export interface ImageListOptions {
  /** Column of image names; by default name, filename, image, path or file, whichever there is. */
  readonly imageColumn?: string | undefined;
  /** Column of prompts; by default prompt, if there is one. */
  readonly promptColumn?: string | undefined;
  /** The folder that names start from; by default the list's own. */
  readonly root?: string | undefined;
}

const imageColumns = ['name', 'filename', 'image', 'path', 'file'];
const promptColumns = ['prompt'];

/**
 * Reads a list of images: CSV with a header line, or JSON objects, one a line (`.jsonl`, `.ndjson`). An image is looked for as a
 * dataset's images are: below the root by its path, or anywhere by its name; one that is not there becomes an unreadable image.
 *
 * @throws UserError if the file cannot be read, or has no such columns
 */
export async function readImageList(path: string, options: ImageListOptions = {}): Promise<ImageList> {
  const table = /^\.(jsonl|ndjson)$/i.test(extname(path)) ? await readJsonLines(path) : await readCsv(path);
  const { root = dirname(path) } = options;
  const image = requireColumn(
    table,
    options.imageColumn === undefined ? imageColumns : [options.imageColumn],
    'Name it with --image-column.',
  );
  const prompt =
    options.promptColumn === undefined
      ? findColumn(table, promptColumns)
      : requireColumn(table, [options.promptColumn], 'Name it with --prompt-column.');
  const names = table.rows.map(({ fields, line }) => {
    const name = fields[image];
    if (name) return name;
    throw new UserError(`${path}, line ${line}: ${image} is empty`, 'Fix or remove that row.');
  });
  const found = await locateImages(
    root,
    names.map((name) => ({ name, mos: 0 })),
  );
  return {
    paths: found.map((place, i) => place ?? resolve(root, names[i]!)),
    prompts: prompt === undefined ? null : table.rows.map(({ fields }) => fields[prompt] || undefined),
    ...(table.note !== undefined && { note: table.note }),
  };
}

/** As a table whose columns are the members of the first object; other members are of no use here. */
async function readJsonLines(path: string): Promise<CsvTable> {
  const lines = (await readText(path, 'jsonBytes')).split('\n');
  checkLimit('csvRows', lines.length, (count) => `${path}: has ${count} lines`);
  const rows = lines.flatMap((text, i) => {
    if (text.trim() === '') return [];
    const object = parseJson(text, anyObject, `${path}, line ${i + 1}`, 'Write one JSON object a line.');
    const fields = Object.fromEntries(
      Object.entries(object).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    );
    return [{ line: i + 1, fields }];
  });
  if (rows.length === 0) throw new UserError(`${path}: holds no images`, 'Write one JSON object a line.');
  const columns = [...new Set(rows.flatMap(({ fields }) => Object.keys(fields)))];
  checkLimit('csvColumns', columns.length, (count) => `${path}: has ${count} members`);
  return { path, columns, rows, separator: ',' };
}
