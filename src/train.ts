import { stringify as toYaml } from 'yaml';
import { createCommand, runCommand } from './cli/command.ts';
import { addSettingOptions, settingsFrom } from './cli/settings-options.ts';
import { startGpu, terminal } from './cli/start.ts';
import { clearTuning } from './kernels/tuning.ts';
import { metricsText, trainRun } from './training/run.ts';

const command = addSettingOptions(
  createCommand('train', 'Trains CLIP-AGIQA (or an ablation of it) on pictures with mean opinion scores.', [
    'node dist/train.js                          # the embedded default: small model, generated pictures',
    'node dist/train.js --config vit_b16_ep100 --data agiqa-3k --root DIR --weights ViT-B-16.pt',
    'node dist/train.js --data agiqa-3k --root DIR --weights ViT-B-16.pt --limit 200 --epochs 3',
    'node dist/train.js --data csv --csv scores.csv --root pictures --weights ViT-B-16.pt',
    'node dist/train.js --resume --out output/my-run …   # go on from the last checkpoint',
  ]),
)
  .option('--resume', 'go on from the checkpoint in the run folder')
  .option('--retune', 'forget what was measured of the kernel variants on this adapter')
  .option('--json', 'print the summary as JSON on stdout');

await runCommand<Record<string, string> & { resume?: boolean; retune?: boolean; json?: boolean }>(
  command,
  async (options) => {
    const settings = settingsFrom(options);
    const gpu = await startGpu(terminal);
    try {
      if (options.retune) await clearTuning(gpu);
      terminal.line('settings');
      terminal.line(toYaml(settings).trimEnd().replaceAll(/^/gm, '  '));
      const summary = await trainRun(gpu, settings, { resume: options.resume ?? false, reporter: terminal });
      const { pictures, test, before, finalEpoch, folder, seconds, accuracy, readings } = summary;
      terminal.line('');
      terminal.line(`pictures   ${pictures.train} train, ${pictures.val} validation, ${pictures.test} test`);
      terminal.line(`untrained  ${metricsText(before)}`);
      terminal.line(`epoch ${String(finalEpoch).padEnd(5)}${metricsText(test?.overall ?? null)}`);
      for (const [name, metrics] of Object.entries(readings ?? {}))
        terminal.line(`${name.padEnd(11)}${metricsText(metrics)}`);
      if (accuracy !== null)
        terminal.line(`accuracy   ${(100 * accuracy).toFixed(1)} % of the quality classes`);
      terminal.line(`time       ${(seconds / 60).toFixed(1)} min`);
      terminal.line(`results    ${folder}`);
      if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    } finally {
      gpu.close();
    }
  },
);
