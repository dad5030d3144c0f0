import { Option } from 'commander';

/** `--raw-csv`, which sets `rawCsv`. */
export const rawCsvOption = (): Option =>
  new Option(
    '--raw-csv',
    'write names to CSV unchanged (default: a name that a spreadsheet would run as a formula gets a leading apostrophe)',
  );
