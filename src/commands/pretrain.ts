import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { addRunOptions, type RunFlags } from '../cli/run-options.ts';
import { addFieldOptions, fieldValuesFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { applyValues, defaultValues } from '../common/fields.ts';
import { clearTuning } from '../kernels/device/tuning.ts';
import { pretrainRun } from '../pretraining/run.ts';
import { type PretrainingSettings, pretrainingFields } from '../pretraining/settings.ts';
import { pretrainingFolder } from '../training/default-folder.ts';
import { runSettings } from '../training/run-settings.ts';

const command = addRunOptions(
  addFieldOptions(
    createCommand(
      'pretrain',
      'Trains a small CLIP from scratch on images and captions (contrastive pre-training).',
      [
        'node dist/pretrain.js --data agiqa-3k --root DIR --teacher deit-tiny/ --out output/small-clip',
        'node dist/pretrain.js --data scenes --epochs 2       # generated images',
        "node dist/pretrain.js --pairs captions.csv --image-column file --caption '{text}' --distorted 0",
        'node dist/pretrain.js --pairs images/ --batch-size 256 --chunk-size 64   # exact gradients in less memory',
        'node dist/pretrain.js --resume output/small-clip   # continue from its last checkpoint, with its settings',
      ],
    ),
    pretrainingFields,
  ),
)
  .option('--retune', 'discard the saved timings of kernel variants for this adapter')
  .option('--json', 'print the summary as JSON on stdout');

interface Options extends RunFlags {
  retune?: boolean;
  json?: boolean;
}

addGpuOptions(command);

await runCommand<Options & Record<string, string>>(command, async (options) => {
  const signal = watchInterrupts();
  const defaults = defaultValues(pretrainingFields);
  const { settings, resume } = await runSettings<PretrainingSettings>(
    options,
    {
      command: 'pretrain',
      merge: (base) => fieldValuesFrom(pretrainingFields, options, base),
      parse: (saved, where) => applyValues(pretrainingFields, defaults, saved, where),
      folder: (given) => given.out || pretrainingFolder(given, defaults),
    },
    terminal,
  );
  const gpu = await startGpu(terminal);
  try {
    if (options.retune) await clearTuning(gpu);
    const { overwrite } = options;
    const summary = await pretrainRun(gpu, settings, { resume, overwrite, signal, reporter: terminal });
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
