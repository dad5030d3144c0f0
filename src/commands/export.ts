import { statSync } from 'node:fs';
import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { addEpochFileOption, epochFile } from '../cli/original-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import { packageVersion } from '../common/package.ts';
import { printable } from '../common/printable.ts';
import { type StorageType, storageTypes } from '../data/formats/float16.ts';
import { exportOnnx } from '../export/export-onnx.ts';
import { type ExportInput, inputText } from '../export/input-graph.ts';
import { modelCard } from '../export/model-card.ts';
import { cropsOf } from '../features/feature-extractor.ts';
import type { Reading } from '../model/class-constants.ts';
import type { Position } from '../model/prefix-tree.ts';
import { openClipWeights } from '../model/weights/open-weights.ts';
import { tellsClasses } from '../scoring/classifier.ts';
import { isOriginalFolder, originalHead, originalSettings } from '../scoring/original-model.ts';
import { plainHead, readScoringConstants } from '../scoring/scoring-constants.ts';
import { modelWeights, readModel } from '../scoring/trained-model.ts';
import { clipOptions } from '../training/settings.ts';

interface Options {
  out: string;
  weights?: string;
  input: ExportInput;
  dtype: StorageType;
  scoreBy?: Reading;
  epochFile?: string;
  position: Position;
}

const command = addEpochFileOption(
  createCommand('export', 'Writes a trained scoring model as one ONNX file, for onnxruntime and others.', [
    'node dist/export.js output/my-run --out model.onnx',
    'node dist/export.js embedded --out quality.onnx                       # the model that score uses by default',
    'node dist/export.js output/my-run --out model.onnx --input uint8      # takes RGB bytes, normalizes them itself',
    'node dist/export.js output/my-run --out half.onnx --dtype float16     # half the size',
    'node dist/export.js nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt --out model.onnx',
  ]),
)
  .argument(
    '<model>',
    'run folder or model.safetensors of a training run, a results folder of the published trainer, or embedded',
  )
  .requiredOption('--out <file>', 'ONNX file to write; - for stdout')
  .option('--weights <file>', 'CLIP weights (default: those of the model)')
  .addOption(
    new Option(
      '--input <kind>',
      'images as normalized float32 [batch, 3, size, size] or RGB bytes [batch, size, size, 3]',
    )
      .choices(['normalized', 'uint8'])
      .default('normalized'),
  )
  .addOption(
    new Option('--dtype <type>', "storage type of the tower's weights; computation is in float32 either way")
      .choices(storageTypes)
      .default('float32'),
  )
  .addOption(
    new Option(
      '--score-by <reading>',
      'for a zero-shot model: score by the quality words or by antonyms (default: as it was saved)',
    ).choices(['words', 'antonyms']),
  )
  .addOption(
    new Option('--position <place>', 'for a folder of the published trainer: position of the quality word')
      .choices(['end', 'middle', 'front'])
      .default('end'),
  );

addGpuOptions(command);

await runCommand<Options & Record<string, unknown>>(command, async (options, [path]) => {
  checkOutput(options.out);
  const { settings, scoring, weights: named } = await openModel(path!, options);
  const weights = await openClipWeights(named, clipOptions(settings));
  try {
    const card = modelCard(settings, named);
    const bytes = await exportOnnx(
      { settings, weights, scoring, version: packageVersion(), ...card },
      options.out,
      options,
    );
    if (options.out === '-' || !statSync(options.out).isFile()) return;
    const { imageSize } = weights.config.vision;
    const inputs = inputText(imageSize, options.input, cropsOf(settings));
    process.stderr.write(
      `${printable(options.out)}: ${(bytes / 1e6).toFixed(1)} MB, ${inputs} -> score [batch]\n`,
    );
  } finally {
    await weights.close();
  }
});

/** The model's settings, the file of its CLIP weights, and what turns features into scores. */
async function openModel(path: string, options: Options) {
  if (isOriginalFolder(path)) {
    const settings = originalSettings();
    const { path: weights } = await modelWeights(path, null, options.weights);
    const { position, epochFile: epoch } = options;
    // Its text features are not in the folder: the text tower computes them once.
    const gpu = await startGpu(terminal);
    try {
      const head = await originalHead(gpu, path, weights, {
        position,
        epoch: epochFile(epoch),
        ...clipOptions(settings),
      });
      return {
        settings,
        weights,
        scoring: plainHead(head),
      };
    } finally {
      gpu.close();
    }
  }
  const model = await readModel(path);
  const { settings } = model;
  if (tellsClasses(model))
    throw new UserError(
      `${path} tells classes apart; only models that score can be exported`,
      'Use the score command with it.',
    );
  const { path: weights } = await modelWeights(path, model, options.weights);
  return {
    settings,
    weights,
    scoring: readScoringConstants(
      model.constants,
      { ...settings, scoreBy: options.scoreBy ?? settings.scoreBy },
      path,
    ),
  };
}
