import { stringify } from 'csv-stringify/sync';

/** A text (a name, a message) or a number. */
export type CsvCell = string | number;

export interface CsvOptions {
  /**
   * Texts exactly as they are, for programs that read no apostrophe as a guard. By default one stands before a text that a
   * spreadsheet would run as a formula.
   */
  readonly raw?: boolean | undefined;
}

/**
 * Texts that a spreadsheet takes for formulas (https://owasp.org/www-community/attacks/CSV_Injection), also behind
 * apostrophes, so that what stands in a file can be read back without doubt.
 */
const formula = /^'*[=+\-@\t\r\n＝＋－＠]/;

/**
 * Rows as CSV (RFC 4180). A text that begins as a formula does gets an apostrophe in front, by which spreadsheets know a text;
 * {@link unguarded} takes it off again, as our own reader does. Numbers stay numbers.
 */
export function csvText(rows: Iterable<readonly CsvCell[]>, { raw = false }: CsvOptions = {}): string {
  const cell = (value: CsvCell) =>
    typeof value === 'number' ? String(value) : !raw && formula.test(value) ? `'${value}` : value;
  // Readers take blanks at the ends of a field for its margins unless it is quoted, and a lone CR for the end of the line.
  return stringify(
    Array.from(rows, (row) => row.map(cell)),
    { quoted_match: /^\s|\s$|\r/ },
  );
}

/** A field as it was before {@link csvText} guarded it. */
export function unguarded(field: string): string {
  return field.startsWith("'") && formula.test(field) ? field.slice(1) : field;
}
