import { decodeXML } from 'entities';
import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { ZipArchive } from './zip-archive.ts';

/** A row of a sheet: its number there, and its cells from column A on, an absent one empty. */
export interface SheetRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Whether a file begins as a zip archive does, which a workbook is. */
export const isWorkbook = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;

/**
 * The cells of a workbook's first sheet (ECMA-376, Office Open XML) as texts, numbers as they are stored; formulas count with the
 * value that was saved. SPAQ's scores come as one.
 *
 * @throws UserError if it is no such workbook, or is larger than the limits allow
 */
export async function readWorkbook(path: string): Promise<SheetRow[]> {
  const archive = await ZipArchive.open(path);
  try {
    const sheets = archive.names.filter((name) => /^xl\/worksheets\/[^/]+\.xml$/.test(name)).sort();
    const sheet = sheets.find((name) => name.endsWith('/sheet1.xml')) ?? sheets[0];
    if (sheet === undefined)
      throw new UserError(
        `${path}: is a zip archive, but no Excel workbook`,
        'Save the table as CSV or .xlsx.',
      );
    const strings = await partOf(archive, 'xl/sharedStrings.xml');
    return rowsOf(path, (await partOf(archive, sheet))!, strings ? sharedStrings(path, strings) : []);
  } finally {
    await archive.close();
  }
}

async function partOf(archive: ZipArchive, name: string): Promise<string | undefined> {
  const size = archive.sizeOf(name);
  if (size === undefined) return undefined;
  checkLimit('csvBytes', size, (bytes) => `${archive.path}: ${name} has ${bytes} bytes`);
  return new TextDecoder().decode(await archive.read(name, 0, size));
}

/** A tag, or the text between two. Namespace prefixes are left out. */
type Token =
  | { readonly kind: 'open' | 'close' | 'empty'; readonly name: string; readonly attributes: string }
  | { readonly kind: 'text'; readonly text: string };

function* tokensOf(path: string, xml: string): Generator<Token> {
  for (let at = 0; at < xml.length; ) {
    if (xml[at] !== '<') {
      const end = xml.indexOf('<', at);
      const next = end < 0 ? xml.length : end;
      yield { kind: 'text', text: xml.slice(at, next) };
      at = next;
      continue;
    }
    const comment = xml.startsWith('<!--', at);
    const end = xml.indexOf(comment ? '-->' : '>', at);
    if (end < 0) throw notXml(path);
    const inner = xml.slice(at + 1, end);
    at = end + (comment ? 3 : 1);
    if (inner.startsWith('?') || inner.startsWith('!')) continue;
    const kind = inner.startsWith('/') ? 'close' : inner.endsWith('/') ? 'empty' : 'open';
    const body = kind === 'close' ? inner.slice(1) : inner;
    const space = body.search(/[\s/]/);
    const qualified = space < 0 ? body : body.slice(0, space);
    const name = qualified.slice(qualified.indexOf(':') + 1);
    yield { kind, name, attributes: space < 0 ? '' : body.slice(space) };
  }
}

const notXml = (path: string) =>
  new UserError(`${path}: its first sheet is damaged`, 'Save the table as CSV or .xlsx again.');

/** The texts that cells name by number: the runs of each joined, without its phonetic reading. */
function sharedStrings(path: string, xml: string): string[] {
  const strings: string[] = [];
  let inText = false;
  let phonetic = false;
  for (const token of tokensOf(path, xml)) {
    if (token.kind === 'text') {
      if (inText && !phonetic) strings[strings.length - 1] += decodeXML(token.text);
    } else if (token.name === 'si' && token.kind !== 'close') {
      checkLimit('csvFields', strings.push(''), (count) => `${path}: has ${count} texts`);
    } else if (token.name === 't') inText = token.kind === 'open' && strings.length > 0;
    else if (token.name === 'rPh') phonetic = token.kind === 'open';
  }
  return strings;
}

function rowsOf(path: string, xml: string, strings: readonly string[]): SheetRow[] {
  const rows: { line: number; cells: string[] }[] = [];
  let fields = 0;
  let kind = '';
  let inValue = false;
  for (const token of tokensOf(path, xml)) {
    const row = rows.at(-1);
    if (token.kind === 'text') {
      if (inValue && row) row.cells[row.cells.length - 1] += decodeXML(token.text);
    } else if (token.name === 'row' && token.kind !== 'close') {
      const line = Number(/\sr="(\d+)"/.exec(token.attributes)?.[1] ?? (row?.line ?? 0) + 1);
      checkLimit('csvRows', rows.push({ line, cells: [] }), (count) => `${path}: has ${count} rows`);
    } else if (token.name === 'c') {
      if (token.kind === 'close') {
        if (kind === 's' && row) row.cells[row.cells.length - 1] = shared(path, row.cells.at(-1)!, strings);
        kind = '';
        continue;
      }
      if (!row) throw notXml(path);
      const place = columnOf(token.attributes) ?? row.cells.length;
      checkLimit('csvColumns', place + 1, (count) => `${path}: has ${count} columns`);
      if (place < row.cells.length) throw notXml(path);
      fields += place + 1 - row.cells.length;
      checkLimit('csvFields', fields, (count) => `${path}: has ${count} cells`);
      while (row.cells.length <= place) row.cells.push('');
      kind = token.kind === 'open' ? (/\st="(\w+)"/.exec(token.attributes)?.[1] ?? 'n') : '';
    } else if (token.name === 'v' || token.name === 't') inValue = token.kind === 'open' && kind !== '';
  }
  return rows;
}

/** Column from 0 of a cell's `r="AB12"`. */
function columnOf(attributes: string): number | undefined {
  const letters = /\sr="([A-Z]{1,3})\d+"/.exec(attributes)?.[1];
  if (letters === undefined) return undefined;
  return [...letters].reduce((column, letter) => column * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

function shared(path: string, index: string, strings: readonly string[]): string {
  const text = strings[Number(index)];
  if (index === '' || text === undefined) throw notXml(path);
  return text;
}
