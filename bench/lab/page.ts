/** docs/kernels/ and docs/what-did-not-work.md, from what the labs measured last on every adapter. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { prepareFolder, writeOutput } from '../../src/common/files.ts';
import { packageFile } from '../../src/common/package.ts';
import { exercises } from '../exercises/index.ts';
import { ladderFolder } from '../ladder.ts';
import { ladders } from '../ladder-notes.ts';
import { lessonPages } from '../lesson-pages.ts';
import { lessons } from '../lessons.ts';
import { readResults } from '../results.ts';
import { setbacks } from '../setbacks.ts';

const root = dirname(packageFile('package.json'));
const command = createCommand(
  'bench/lab/page',
  'Writes docs/kernels/ and docs/what-did-not-work.md from what the labs measured with --save.',
  ['node dist/bench/lab/page.js'],
).option('--out <dir>', 'folder to write to', join(root, 'docs'));

await runCommand<{ out: string } & Record<string, unknown>>(command, async ({ out }) => {
  const results = await readResults(ladderFolder);
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const pages = lessonPages({ lessons, ladders, exercises, results, setbacks, read });
  prepareFolder(join(out, 'kernels'));
  for (const [path, text] of pages) await writeOutput(join(out, path), text);
});
