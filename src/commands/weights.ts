import { statSync } from 'node:fs';
import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { formatTable } from '../cli/table.ts';
import { shortened, UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import { printable } from '../common/printable.ts';
import { type StorageType, storageTypes } from '../data/formats/float16.ts';
import { writeSafetensors } from '../data/formats/safetensors-file.ts';
import { writeTorchScript } from '../data/formats/torchscript-writer.ts';
import { type Activation, activations, type TransformerConfig } from '../model/config.ts';
import { convertWeights, specTensors } from '../model/weights/convert.ts';
import { describeWeights, type WeightsDescription } from '../model/weights/describe.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { openClipWeights } from '../model/weights/open-weights.ts';
import { readWeightsSpec } from '../model/weights/weights-spec.ts';
import { shareModel } from '../scoring/share-model.ts';

interface Options {
  info?: string;
  convert?: string;
  share?: string;
  spec?: string;
  out?: string;
  dtype?: StorageType;
  activation?: Activation;
  json?: boolean;
}

const command = createCommand(
  'weights',
  'Inspects, converts or generates a weights file, or prepares a trained model to be shared.',
  [
    'node dist/weights.js --info ViT-B-16.pt                     # format, configuration, tensors',
    'node dist/weights.js --info model.safetensors --json',
    'node dist/weights.js --convert ViT-B-16.pt --out vit-b-16.safetensors --dtype float16',
    'node dist/weights.js --convert clip-vit-base-patch16/ --out clip.safetensors   # a Hugging Face folder',
    'node dist/weights.js --share output/my-run --out my-model.safetensors   # to pass on: scores as before, knows no folders of yours',
    'node dist/weights.js --spec weights.json --out generated.safetensors',
    'node dist/weights.js --spec weights.json --out generated.pt   # as a TorchScript archive in float16',
  ],
)
  .option('--info <file>', 'show the contents of a file or folder, or of the embedded weights: embedded')
  .option('--convert <file>', 'write a model as safetensors under canonical names')
  .option(
    '--spec <file>',
    'generate every tensor from a specification: JSON, { "seed": 1, "tensors": { NAME: { "shape", "scale", "offset" } } }',
  )
  .option('--share <run>', 'write what scoring reads of a trained model, without the paths of this machine')
  .option('--out <file>', 'file to write; with --spec, a .pt name writes a TorchScript archive')
  .addOption(
    new Option('--dtype <type>', 'type of the values written (default: float32; float16 for .pt)').choices(
      storageTypes,
    ),
  )
  .addOption(
    new Option('--activation <name>', 'store this activation, whatever the file implies').choices(
      activations,
    ),
  )
  .option('--json', 'print --info as JSON');

await runCommand(command, async (options: Options) => {
  const { spec, share, out, dtype, activation } = options;
  const [info, convert] = [options.info, options.convert].map((path) => path && weightsPath(path));
  const modes = [info, convert, spec, share].filter((mode) => mode !== undefined);
  if (modes.length !== 1) {
    throw new UserError(
      'exactly one of --info, --convert, --spec and --share is needed',
      'See --help for examples.',
    );
  }
  if (info !== undefined) {
    const description = await describeWeights(info, { values: true });
    console.log(options.json ? JSON.stringify(description, null, 2) : formatDescription(description));
    return;
  }
  if (out === undefined) throw new UserError('--out is missing', 'Pass --out FILE.safetensors.');
  if ((convert ?? share) !== undefined && !out.endsWith('.safetensors'))
    throw new UserError(
      `--out ${out}: --${convert === undefined ? 'share' : 'convert'} writes safetensors`,
      'Choose a name that ends in .safetensors.',
    );
  checkOutput(out);
  if (convert !== undefined) {
    const weights = await openClipWeights(convert, { activation });
    try {
      await convertWeights(weights, out, dtype ?? 'float32');
    } finally {
      await weights.close();
    }
  } else if (share !== undefined) await shareModel(share, out);
  else {
    const isArchive = out.endsWith('.pt');
    const tensors = specTensors(await readWeightsSpec(spec!), dtype ?? (isArchive ? 'float16' : 'float32'));
    if (isArchive) await writeTorchScript(out, tensors);
    else await writeSafetensors(out, tensors);
  }
  // A device or a pipe has swallowed what was written.
  if (!statSync(out).isFile()) return;
  const { format, tensors, parameters } = await describeWeights(out);
  console.log(
    `${printable(out)}: ${format}, ${tensors.length} tensors, ${parameters.toLocaleString('en')} parameters`,
  );
});

function formatDescription({
  path,
  format,
  sha256,
  official,
  metadata,
  tensors,
  parameters,
  nonFinite,
  model,
  problem,
}: WeightsDescription): string {
  const facts: (readonly [string, string | number])[] = [
    ['file', path],
    ['format', format],
    ...(sha256 ? [['SHA-256', sha256] as const] : []),
    ...(official ? [['official', official] as const] : []),
    ['tensors', tensors.length],
    ['elements', parameters.toLocaleString('en')],
    ...nonFiniteFacts(nonFinite),
    ...Object.entries(metadata).map(([key, value]): [string, string] => [
      `metadata ${printable(shortened(key, 100))}`,
      value,
    ]),
  ];
  if (model) {
    const { vision, text } = model.config;
    facts.push(
      ['naming', model.naming],
      ['parameters', model.parameters.toLocaleString('en')],
      ['image', `${vision.imageSize} px, patches of ${vision.patchSize} px`],
      ['vision', describeTransformer(vision, vision.outputWidth)],
      ['mean, std', `${vision.mean.join(' ')}, ${vision.std.join(' ')}`],
      ['text', text ? describeTransformer(text, text.outputWidth) : 'none'],
    );
    if (text) facts.push(['tokens', `context ${text.contextLength}, vocabulary ${text.vocabSize}`]);
  } else facts.push(['model', `none: ${problem}`]);
  if (model && problem !== null) facts.push(['problem', problem]);
  const rows = tensors.map(({ name, dtype, shape }) => [
    shortened(name, 120),
    dtype,
    shortened(`[${shape.join(', ')}]`, 100),
  ]);
  const width = facts.reduce((most, [label]) => Math.max(most, label.length), 0);
  const lines = facts.map(([label, value]) => `${label.padEnd(width)}  ${shown(value)}`);
  return `${lines.join('\n')}\n\n${formatTable(rows, { columns: ['tensor', 'type', 'shape'] })}`;
}

/** What a file says, on a line: it may hold anything, in any length. */
function shown(text: string | number): string {
  return printable(shortened(String(text), 1000));
}

function nonFiniteFacts(nonFinite: WeightsDescription['nonFinite']): [string, string][] {
  const counts = Object.entries(nonFinite ?? {});
  if (counts.length === 0) return [];
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const [name, count] = counts[0]!;
  const more = counts.length === 1 ? '' : `, and ${counts.length - 1} more tensors`;
  return [
    ['not finite', `${total.toLocaleString('en')} numbers (NaN or infinite): ${count} in ${name}${more}`],
  ];
}

function describeTransformer(
  { width, layers, heads, mlpWidth, activation, layerNormEps }: TransformerConfig,
  outputWidth: number | null,
): string {
  const output = outputWidth === null ? 'no projection' : `output ${outputWidth}`;
  return `width ${width}, ${layers} layers, ${heads} heads, MLP ${mlpWidth}, ${activation}, eps ${layerNormEps}, ${output}`;
}
