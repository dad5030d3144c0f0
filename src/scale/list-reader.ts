import { extname } from 'node:path';
import { parse } from 'csv-parse';
import { UserError } from '../common/errors.ts';
import { anyObject, parseJson } from '../common/json.ts';
import { limit } from '../common/limits.ts';
import { unreadable } from '../common/read-file.ts';
import { unguarded } from '../data/formats/csv-writer.ts';
import { openParquet } from './parquet.ts';
import { requireReadable, streamOf } from './source.ts';
import type { Column } from './table.ts';

/** A list of images of any length, read row by row. */
export interface ListFile {
  readonly columns: readonly Column[];
  rows(): AsyncIterable<Readonly<Record<string, unknown>>>;
}

/** Opens a list by its extension: CSV with a header, JSON lines, Parquet, or plain text with a path a line, whose column is `path`. */
export async function openList(path: string): Promise<ListFile> {
  await requireReadable(path);
  const extension = extname(path).toLowerCase();
  if (extension === '.parquet') return openParquet(path);
  if (extension === '.jsonl' || extension === '.ndjson') return openJsonLines(path);
  if (extension === '.txt')
    return { columns: [{ name: 'path', type: 'string' }], rows: () => plainRows(path) };
  return openCsv(path);
}

async function* lines(path: string): AsyncIterable<{ text: string; line: number }> {
  let line = 0;
  // Not by node:readline, which drops the errors of its input.
  const decoder = new TextDecoder();
  let rest = '';
  const checked = (text: string) => {
    if (text.length <= limit('textCharacters')) return text;
    throw new UserError(
      `${path}, line ${line + 1}: has more than ${limit('textCharacters')} characters`,
      'Is it a list of images?',
    );
  };
  const source = streamOf(path);
  try {
    for await (const bytes of source) {
      const parts = (rest + decoder.decode(bytes as Uint8Array, { stream: true })).split('\n');
      rest = checked(parts.pop()!);
      for (const part of parts) {
        const text = checked(part).replace(/\r$/, '');
        line++;
        if (text.trim() !== '') yield { text, line };
      }
    }
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    source.destroy();
  }
  rest = checked(rest + decoder.decode()).replace(/\r$/, '');
  if (rest.trim() !== '') yield { text: rest, line: line + 1 };
}

async function* plainRows(path: string): AsyncIterable<Readonly<Record<string, unknown>>> {
  for await (const { text } of lines(path)) yield { path: text };
}

async function openJsonLines(path: string): Promise<ListFile> {
  async function* rows() {
    for await (const { text, line } of lines(path))
      yield parseJson(text, anyObject, `${path}, line ${line}`, 'Write one JSON object a line.');
  }
  const first = (await rows().next()).value ?? {};
  const columns = Object.entries(first).map(
    ([name, value]): Column => ({
      name,
      type: typeof value === 'number' ? 'double' : 'string',
    }),
  );
  return { columns, rows };
}

async function openCsv(path: string): Promise<ListFile> {
  async function* records(): AsyncGenerator<Record<string, string>> {
    const parser = parse({
      bom: true,
      columns: true,
      skip_empty_lines: true,
      max_record_size: limit('textCharacters'),
    });
    const source = streamOf(path);
    source.on('error', (error) => parser.destroy(error));
    source.pipe(parser);
    try {
      for await (const record of parser) yield record as Record<string, string>;
    } catch (error) {
      const known = unreadable(path, error);
      if (known instanceof UserError) throw known;
      throw new UserError(`${path}: ${(error as Error).message}`, 'Write a CSV with a header line.');
    } finally {
      source.destroy();
    }
  }
  const first = (await records().next()).value as Record<string, string> | undefined;
  return {
    columns: Object.keys(first ?? {}).map((name): Column => ({ name, type: 'string' })),
    async *rows() {
      for await (const record of records())
        yield Object.fromEntries(Object.entries(record).map(([name, field]) => [name, unguarded(field)]));
    },
  };
}
