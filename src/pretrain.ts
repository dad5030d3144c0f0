import { createCommand, runCommand } from './cli/command.ts';
import { addFieldOptions, fieldValuesFrom } from './cli/settings-options.ts';
import { startGpu, terminal } from './cli/start.ts';
import { clearTuning } from './kernels/tuning.ts';
import { pretrainRun } from './pretraining/run.ts';
import { pretrainingFields } from './pretraining/settings.ts';

const command = addFieldOptions(
  createCommand(
    'pretrain',
    'Trains a small CLIP from scratch on pictures and captions (contrastive pre-training).',
    [
      'node dist/pretrain.js --data agiqa-3k --root DIR --teacher deit-tiny/ --out output/small-clip',
      'node dist/pretrain.js --data scenes --epochs 2       # pictures drawn here',
      "node dist/pretrain.js --pairs captions.csv --image-column file --caption '{text}' --distorted 0",
      'node dist/pretrain.js --pairs pictures/ --batch-size 256 --chunk-size 64   # exact gradients in less memory',
      'node dist/pretrain.js --resume --out output/small-clip …   # go on from the last checkpoint',
    ],
  ),
  pretrainingFields,
)
  .option('--resume', 'go on from the checkpoint in the run folder')
  .option('--retune', 'forget what was measured of the kernel variants on this adapter')
  .option('--json', 'print the summary as JSON on stdout');

interface Options {
  resume?: boolean;
  retune?: boolean;
  json?: boolean;
}

await runCommand<Options & Record<string, string>>(command, async (options) => {
  const settings = fieldValuesFrom(pretrainingFields, options);
  const gpu = await startGpu(terminal);
  try {
    if (options.retune) await clearTuning(gpu);
    const summary = await pretrainRun(gpu, settings, { resume: options.resume ?? false, reporter: terminal });
    const { folder, seconds, steps, parameters } = summary;
    terminal.line(
      `trained    ${parameters.toLocaleString('en')} parameters, ${steps} steps, ${(seconds / 60).toFixed(1)} min`,
    );
    terminal.line(`weights    ${folder}/model.safetensors`);
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  } finally {
    gpu.close();
  }
});
