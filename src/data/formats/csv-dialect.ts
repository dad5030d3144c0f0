import { isUtf8 } from 'node:buffer';

/** What stands between the fields of a table: spreadsheets write a semicolon where the comma is the decimal sign. */
export type Separator = ',' | ';' | '\t';

const separators: readonly Separator[] = [',', ';', '\t'];

/** Records that the separator is detected from, and bytes in which they are looked for. */
const sampleRecords = 10;
const sampleBytes = 65_536;

/** A spreadsheet's own first line, which names the separator and is no header. */
const separatorLine = /^\ufeff?sep=([,;\t])\r?\n/i;

export interface CsvDialect {
  /** The file in UTF-8. */
  readonly bytes: Uint8Array;
  readonly separator: Separator;
  /** Whether the first line is no header, but `sep=;`. */
  readonly named: boolean;
  /** What is worth telling of its encoding. */
  readonly note?: string;
}

/** How a table is written, by its bytes and first records; what is no text is left as it is. */
export function csvDialect(file: Uint8Array): CsvDialect {
  const { bytes, note } = utf8(file);
  const start = Buffer.from(bytes.subarray(0, sampleBytes)).toString('utf8');
  const named = separatorLine.exec(start)?.[1] as Separator | undefined;
  return {
    bytes,
    separator: named ?? guessSeparator(start),
    named: named !== undefined,
    ...(note && { note }),
  };
}

/** Where Windows-1252 differs from Latin-1: bytes 0x80 to 0x9f (https://encoding.spec.whatwg.org/#index-windows-1252). */
const specials = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90\u2018\u2019\u201c\u201d•–—˜™š›œ\x9džŸ';

/** Not TextDecoder's: Node 20 and 22 read Latin-1 by that name (nodejs/node issue 56542). */
const windows1252 = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[\x80-\x9f]/g, (character) => specials[character.charCodeAt(0) - 0x80]!);

/** UTF-16 with a byte order mark becomes UTF-8, and so does Windows-1252, which spreadsheets of Western Europe and America write. */
function utf8(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly note?: string } {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null;
  if (encoding) return { bytes: Buffer.from(new TextDecoder(encoding).decode(bytes)) };
  // Zero bytes are in no text of either.
  if (isUtf8(bytes) || bytes.includes(0)) return { bytes };
  const text = new TextDecoder().decode(bytes);
  const wrong = text.match(/\ufffd/g)?.length ?? 0;
  const right = text.match(/[^\0-\x7f\ufffd]/g)?.length ?? 0;
  if (right > wrong)
    return {
      bytes,
      note: `${wrong} of its characters are damaged: they are not in UTF-8, as the others are`,
    };
  return {
    bytes: Buffer.from(windows1252(bytes)),
    note: 'not in UTF-8: read as Windows-1252 (Latin-1); if names or prompts look wrong, save it in UTF-8',
  };
}

/**
 * The separator that parts the header into the most columns, among those that part every record of the sample into as many; among
 * all if there is none such. A table of one column counts as separated by commas.
 */
function guessSeparator(text: string): Separator {
  const [header, ...records] = separatorCounts(text);
  if (!header) return ',';
  const present = separators.filter((separator) => header[separator] > 0);
  const even = present.filter((separator) =>
    records.every((counts) => counts[separator] === header[separator]),
  );
  const candidates = even.length > 0 ? even : present;
  return (
    candidates.reduce<Separator | undefined>(
      (best, next) => (best !== undefined && header[best] >= header[next] ? best : next),
      undefined,
    ) ?? ','
  );
}

/** How often each separator stands outside quotes, by record; the last of the sample is left out if it may be cut off. */
function separatorCounts(text: string): Record<Separator, number>[] {
  const records: Record<Separator, number>[] = [];
  const none = () => ({ ',': 0, ';': 0, '\t': 0 });
  let counts = none();
  let quoted = false;
  let empty = true;
  const end = () => {
    if (!empty) records.push(counts);
    counts = none();
    empty = true;
  };
  for (const character of text) {
    if (records.length === sampleRecords) return records;
    if (character === '"') quoted = !quoted;
    if (quoted || (character !== '\n' && character !== '\r')) {
      empty = false;
      if (!quoted && character in counts) counts[character as Separator]++;
    } else end();
  }
  if (text.length < sampleBytes || records.length === 0) end();
  return records;
}
