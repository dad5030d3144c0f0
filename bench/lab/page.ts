/** docs/kernels.md, from what the labs measured last on every adapter. */
import { dirname, join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { writeOutput } from '../../src/common/files.ts';
import { packageFile } from '../../src/common/package.ts';
import { ladderFolder } from '../ladder.ts';
import { ladders } from '../ladder-notes.ts';
import { ladderPage } from '../ladder-page.ts';
import { readResults } from '../results.ts';

const byDefault = join(dirname(packageFile('package.json')), 'docs', 'kernels.md');
const command = createCommand(
  'bench/lab/page',
  'Writes docs/kernels.md from what the labs measured with --save.',
  ['node dist/bench/lab/page.js'],
).option('--out <file>', 'page to write; - for stdout', byDefault);

await runCommand<{ out: string } & Record<string, unknown>>(command, async ({ out }) => {
  await writeOutput(out, ladderPage(await readResults(ladderFolder), ladders));
});
