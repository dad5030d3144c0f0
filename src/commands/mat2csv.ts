import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { UserError } from '../common/errors.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import { printable } from '../common/printable.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import { type MatMatrix, readMat, scoreList } from '../data/formats/mat.ts';

interface Options {
  out?: string;
  variable?: string;
  names: string;
  rawCsv?: boolean;
}

const command = createCommand(
  'mat2csv',
  'Converts a column of scores in a MATLAB file to CSV (columns name, mos), as read by --data csv.',
  [
    'node dist/mat2csv.js AIGCIQA2023/MOS        # mos_quality.csv, mos_authenticity.csv, mos_correspondence.csv in that folder',
    'node dist/mat2csv.js AIGCIQA2023/MOS --out scores',
    'node dist/mat2csv.js MOS/mosz1.mat --out mos_quality.csv',
    'node dist/mat2csv.js scores.mat --variable MOSz --names "img_{i}.jpg"   # prints to standard output',
  ],
)
  .argument(
    '<path>',
    "MATLAB file (level 5: saved without -v7.3), or AIGCIQA2023's folder of mosz1.mat to mosz3.mat",
  )
  .option('--variable <name>', 'variable to convert (default: the only list of numbers in the file)')
  .option('--names <pattern>', 'file name of the image of entry {i}, counted from 0', '{i}.png')
  .option(
    '--out <file>',
    'CSV file to write (default: standard output); for a folder, the folder to write to (default: the same folder)',
  )
  .addOption(rawCsvOption());

/** AIGCIQA2023's files and what each scores. */
const published = { 'mosz1.mat': 'quality', 'mosz2.mat': 'authenticity', 'mosz3.mat': 'correspondence' };

const isList = ({ shape, data }: MatMatrix) =>
  data.length > 0 && shape.filter((extent) => extent !== 1).length <= 1;

function listOf(file: string, variables: ReadonlyMap<string, MatMatrix>, wanted?: string): Float64Array {
  const found =
    [...variables].map(([name, { shape }]) => `${name} (${shape.join('x')})`).join(', ') || 'none of numbers';
  const candidates = [...variables].filter(([name, matrix]) =>
    wanted === undefined ? isList(matrix) : name === wanted,
  );
  if (candidates.length !== 1)
    throw new UserError(
      wanted === undefined
        ? `${file}: ${candidates.length} variables are lists of numbers: ${found}`
        : `${file}: no variable ${wanted}; found: ${found}`,
      'Name one with --variable.',
    );
  const [name, matrix] = candidates[0]!;
  if (!isList(matrix))
    throw new UserError(
      `${file}: ${name} is ${matrix.shape.join('x')}, not a list of scores`,
      'Name a single row or column with --variable.',
    );
  return scoreList(matrix, `${file}: ${name}`);
}

await runCommand<Options & Record<string, unknown>>(command, async (options, [path]) => {
  const { out, variable, names, rawCsv } = options;
  if (!names.includes('{i}'))
    throw new UserError(
      `--names ${names} does not contain {i}`,
      'Put {i} where the number goes, e.g. {i}.png.',
    );
  // Every file is read and checked before the first is written.
  const read = async (file: string, target: string) => {
    checkOutput(target);
    const scores = listOf(file, await readMat(file), variable);
    return { target, scores };
  };
  const write = async ({ target, scores }: Awaited<ReturnType<typeof read>>) => {
    const rows = Array.from(scores, (mos, i) => [names.replaceAll('{i}', String(i)), mos]);
    await writeOutput(target, csvText([['name', 'mos'], ...rows], { raw: rawCsv }));
    if (target !== '-') process.stderr.write(`${printable(target)}: ${rows.length} scores\n`);
  };
  if (!statSync(path!, { throwIfNoEntry: false })?.isDirectory()) return write(await read(path!, out ?? '-'));
  const files = Object.entries(published).filter(([file]) => existsSync(join(path!, file)));
  if (files.length === 0)
    throw new UserError(
      `${path}: contains none of ${Object.keys(published).join(', ')}`,
      "Pass AIGCIQA2023's folder MOS, or one MATLAB file.",
    );
  const found = [];
  for (const [file, target] of files)
    found.push(await read(join(path!, file), join(out ?? path!, `mos_${target}.csv`)));
  for (const one of found) await write(one);
});
