import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { terminal } from '../cli/start.ts';
import { UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import { mergeRun } from '../scale/merge.ts';
import { readPlan } from '../scale/plan.ts';
import type { TableName } from '../scale/table.ts';
import { tableNameOf } from '../scale/tables.ts';

interface Options {
  csv?: string;
  jsonl?: string;
  parquet?: string;
  errors?: string;
  partial?: boolean;
  rawCsv?: boolean;
}

const command = createCommand(
  'merge',
  'Joins the shards of a run of score --out into one table, in the order of its plan.',
  [
    'node dist/merge.js output/scores --csv scores.csv            # the same bytes as score --csv of one process',
    'node dist/merge.js output/scores --parquet scores.parquet    # needs: npm install hyparquet-writer',
    'node dist/merge.js output/scores --errors errors.csv         # only what could not be read, and why',
  ],
)
  .argument('<run>', 'the folder given as --out')
  .option('--csv <file>', 'write a CSV; - for stdout')
  .option('--jsonl <file>', 'write a JSON object a line; - for stdout')
  .option('--parquet <file>', 'write Apache Parquet')
  .option(
    '--errors <file>',
    'write path and reason of each image that could not be read (.csv, .jsonl, .parquet)',
  )
  .option('--partial', 'merge the shards that are there, where some are missing')
  .addOption(rawCsvOption());

await runCommand<Options & Record<string, unknown>>(command, async (options, [folder]) => {
  const { csv, jsonl, parquet, errors, partial, rawCsv } = options;
  const outputs: { path: string; format: TableName; errors: boolean }[] = [];
  for (const [format, path] of Object.entries({ csv, jsonl, parquet }))
    if (path !== undefined) outputs.push({ path, format: format as TableName, errors: false });
  if (errors !== undefined) outputs.push({ path: errors, format: tableNameOf(errors), errors: true });
  if (outputs.length === 0)
    throw new UserError('nothing to write', 'Pass --csv, --jsonl, --parquet or --errors FILE.');
  const run = await readPlan(folder!);
  for (const { path } of outputs) checkOutput(path);
  for (const { path, format, errors } of outputs) {
    const bar = terminal.bar('merging', run.plan.rows);
    const rows = await mergeRun(run, path, format, {
      partial,
      rawCsv,
      errors,
      advance: (count) => bar.advance(count),
    }).finally(() => bar.stop());
    if (path !== '-')
      terminal.line(`${(errors ? 'errors' : 'results').padEnd(10)} ${rows} rows written to ${path}`);
  }
});
