import { createCommand, runCommand } from '../cli/command.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { Stopped } from '../common/errors.ts';

interface Options {
  root?: string;
  images: number;
}

const command = createCommand(
  'report',
  'Writes report.html in the folder of a run: one page of curves, predictions, errors and images. Training writes it at the end; this command writes it again.',
  [
    'node dist/report.js output/my-run',
    'node dist/report.js output/my-run --root AGIQA-3K --images 12   # where the dataset is now',
    'node dist/report.js output/runs/seed1 output/runs/seed2',
  ],
)
  .argument('<run...>', 'folders of finished training runs')
  .option('--root <dir>', "the dataset's folder (default: where it was in training)")
  .option('--images <n>', 'images per row: best, worst, overrated, underrated', countOption('--images'), 6);

await runCommand<Options & Record<string, unknown>>(command, async ({ root, images }, runs) => {
  const { writeReport } = await import('../report/write-report.ts'); // --help needs no plotting library
  const signal = watchInterrupts();
  for (const [i, run] of runs.entries()) {
    process.stdout.write(`${await writeReport(run, { root, images })}\n`);
    if (signal.aborted) throw new Stopped(`after ${i + 1} of ${runs.length} reports`);
  }
});
