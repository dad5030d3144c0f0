/** docs/kernels/, docs/what-did-not-work.md and the figures of the course, from what was measured last. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { prepareFolder, writeOutput } from '../../src/common/files.ts';
import { packageFile } from '../../src/common/package.ts';
import { readText } from '../../src/common/read-file.ts';
import { readStep } from '../../src/step/read-step.ts';
import type { StepData } from '../../src/step/step-data.ts';
import { courseStep, type StepSummary, stepFigures, summarizeStep, withFigures } from '../course-figures.ts';
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
  'Writes docs/kernels/, docs/what-did-not-work.md and the figures of the course, from what was measured last.',
  [
    'node dist/bench/lab/page.js                      # of what the labs kept with --save',
    'node dist/bench/lab/page.js --step step.json     # of a step that step.js --json recorded, too',
  ],
)
  .option('--out <dir>', 'folder to write to', join(root, 'docs'))
  .option('--step <file>', 'a recorded step, to be kept for the course');

const chapter = join('course', '9-the-machine.md');

await runCommand<{ out: string; step?: string } & Record<string, unknown>>(command, async ({ out, step }) => {
  const results = await readResults(ladderFolder);
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const pages = lessonPages({ lessons, ladders, exercises, results, setbacks, read });
  prepareFolder(join(out, 'kernels'));
  for (const [path, text] of pages) await writeOutput(join(out, path), text);
  if (step !== undefined) {
    await readStep(step); // which says what is wrong with it
    const summary = summarizeStep(JSON.parse(await readText(step, 'jsonBytes')) as StepData);
    await writeOutput(courseStep, `${JSON.stringify(summary, null, 2)}\n`);
  }
  const summary = JSON.parse(readFileSync(courseStep, 'utf8')) as StepSummary;
  prepareFolder(join(out, 'course'));
  await writeOutput(join(out, chapter), withFigures(read(join('docs', chapter)), stepFigures(summary)));
});
