import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { relevanceOf } from '../cli/report.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { Stopped } from '../common/errors.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

interface Options {
  root?: string;
  images: number;
  relevance: boolean;
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
  .option('--images <n>', 'images per row: best, worst, overrated, underrated', countOption('--images'), 6)
  .option('--no-relevance', 'leave out which parts of the images raise and lower their predictions');

addGpuOptions(command);

await runCommand<Options & Record<string, unknown>>(command, async ({ root, images, relevance }, runs) => {
  const { writeReport } = await import('../report/write-report.ts'); // --help needs no plotting library
  const signal = watchInterrupts();
  let gpu: Promise<Gpu> | undefined;
  const open = () => (gpu ??= startGpu(terminal));
  for (const [i, run] of runs.entries()) {
    const how = { root, images, ...(relevance && { relevanceOf: relevanceOf(run, open, terminal) }) };
    process.stdout.write(`${await writeReport(run, how)}\n`);
    if (signal.aborted) throw new Stopped(`after ${i + 1} of ${runs.length} reports`);
  }
  await gpu?.then(
    (opened) => opened.close(),
    () => {},
  );
});
