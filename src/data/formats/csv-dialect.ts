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
}

/** How a table is written, by its first bytes and records; what is neither UTF-8 nor UTF-16 with a byte order mark is left as it is. */
export function csvDialect(file: Uint8Array): CsvDialect {
  const bytes = utf8(file);
  const start = Buffer.from(bytes.subarray(0, sampleBytes)).toString('utf8');
  const named = separatorLine.exec(start)?.[1] as Separator | undefined;
  return { bytes, separator: named ?? guessSeparator(start), named: named !== undefined };
}

/** UTF-16 with a byte order mark becomes UTF-8. */
function utf8(bytes: Uint8Array): Uint8Array {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null;
  return encoding ? Buffer.from(new TextDecoder(encoding).decode(bytes)) : bytes;
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
