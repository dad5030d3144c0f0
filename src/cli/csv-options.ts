import { Option } from 'commander';

/** `--raw-csv`, which sets `rawCsv`. */
export const rawCsvOption = (): Option =>
  new Option(
    '--raw-csv',
    'names in CSV exactly as they are (default: an apostrophe before one that a spreadsheet would run as a formula)',
  );
