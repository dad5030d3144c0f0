import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { defaultSettings } from '../../src/training/settings.ts';
import { forgeSafetensors } from '../attacks/forge.ts';
import {
  checkpointFile,
  clipFile,
  huggingFaceConfig,
  huggingFaceFile,
  openClipConfig,
  openClipFile,
  preprocessorConfig,
  runFiles,
  shards,
} from './bases.ts';
import { type ByteEdit, editBytes, seldomEdited } from './byte-edits.ts';
import { editJson, type JsonEdit, jsonEdits } from './json-edits.ts';
import { type Target, target } from './target.ts';
import { bytesTarget, file } from './targets-weights.ts';

interface TextPlan {
  readonly edits: readonly JsonEdit[];
  readonly bytes: readonly ByteEdit[];
}

/** Edits of a document, now and then of its bytes too. */
const textPlan: fc.Arbitrary<TextPlan> = fc.record({
  edits: jsonEdits(),
  bytes: seldomEdited(2, 5),
});

const edited = (document: unknown, { edits, bytes }: TextPlan): Buffer =>
  editBytes(Buffer.from(editJson(document, edits)), bytes);

/** One text of the metadata of a safetensors file, changed as JSON; what checks the header's bytes is taken out. */
function metadataTarget(
  name: string,
  reader: Target['reader'],
  base: () => Promise<Buffer>,
  keys: readonly string[],
): Target {
  return target<TextPlan & { key: string; remove: boolean }>({
    name,
    reader,
    whole: { edits: [], bytes: [], key: keys[0]!, remove: false },
    plan: fc
      .tuple(textPlan, fc.constantFrom(...keys), fc.nat(30))
      .map(([plan, key, remove]) => ({ ...plan, key, remove: remove === 0 })),
    write: async ({ key, remove, ...plan }, folder) => {
      const whole = await base();
      const length = Number(whole.readBigUInt64LE(0));
      const header = JSON.parse(whole.toString('utf8', 8, 8 + length));
      const metadata = header.__metadata__;
      let old: unknown = metadata[key];
      try {
        old = JSON.parse(metadata[key]);
      } catch {
        // A text that is no JSON is changed as a text.
      }
      metadata[key] = edited(old, plan).toString();
      if (remove) delete metadata[key];
      const sums = header.__checksums__;
      delete metadata.__checksums__;
      delete header.__checksums__;
      const data = whole.subarray(
        8 + length,
        sums ? whole.length - (sums.data_offsets[1] - sums.data_offsets[0]) : undefined,
      );
      return file(folder, 'a.safetensors', Buffer.concat([forgeSafetensors(header), data]));
    },
  });
}

/** A folder of files, of which one is changed as JSON. */
function folderTarget(
  name: string,
  reader: Target['reader'],
  documents: Readonly<Record<string, unknown>>,
  others: () => Promise<Readonly<Record<string, Uint8Array>>>,
): Target {
  return target<TextPlan & { document: string }>({
    name,
    reader,
    whole: { edits: [], bytes: [], document: '' },
    plan: fc
      .tuple(textPlan, fc.constantFrom(...Object.keys(documents)))
      .map(([plan, document]) => ({ ...plan, document })),
    write: async ({ document, ...plan }, folder) => {
      const home = join(folder, 'home');
      mkdirSync(home);
      for (const [other, bytes] of Object.entries(await others())) file(home, other, bytes);
      for (const [path, content] of Object.entries(documents))
        file(home, path, path === document ? edited(content, plan) : JSON.stringify(content));
      return home;
    },
  });
}

const index = target<TextPlan>({
  name: 'shard index',
  reader: 'clipWeights',
  whole: { edits: [], bytes: [] },
  plan: textPlan,
  write: async (plan, folder) => {
    const home = join(folder, 'home');
    mkdirSync(home);
    const parts = await shards();
    for (const [name, bytes] of Object.entries(parts.files)) file(home, name, bytes);
    file(home, 'open_clip_config.json', JSON.stringify(openClipConfig));
    file(home, 'model.safetensors.index.json', edited(parts.index, plan));
    return home;
  },
});

const spec = target<TextPlan>({
  name: 'specification',
  reader: 'spec',
  whole: { edits: [], bytes: [] },
  plan: textPlan,
  write: (plan, folder) => {
    const tensors = { a: { shape: [2, 3], scale: 0.5, offset: 0 }, b: { shape: [], scale: 1, offset: -1 } };
    return file(folder, 'spec.json', edited({ seed: 7, tensors }, plan));
  },
});

/** What a finished run leaves, one of its files changed. */
const runFolder = target<TextPlan & { part: 'summary' | 'records' | 'predictions' }>({
  name: 'run folder',
  reader: 'runFolder',
  whole: { edits: [], bytes: [], part: 'summary' },
  plan: fc
    .tuple(
      textPlan,
      fc.constantFrom('summary' as const, 'summary' as const, 'records' as const, 'predictions' as const),
    )
    .map(([plan, part]) => ({ ...plan, part })),
  write: ({ part, ...plan }, folder) => {
    const run = join(folder, 'run');
    mkdirSync(run);
    const { summary, records, predictions } = runFiles();
    file(run, 'summary.json', part === 'summary' ? edited(summary, plan) : JSON.stringify(summary));
    const [first, ...rest] = records;
    const lines = [part === 'records' ? edited(first, plan).toString() : JSON.stringify(first)];
    file(run, 'metrics.jsonl', [...lines, ...rest.map((record) => JSON.stringify(record)), ''].join('\n'));
    file(
      run,
      'predictions.csv',
      part === 'predictions' ? editBytes(Buffer.from(predictions), plan.bytes) : predictions,
    );
    return run;
  },
});

const scalar = fc.oneof(
  fc.constantFrom(
    '',
    '~',
    'null',
    'yes',
    '.inf',
    '.nan',
    '-1',
    '0x10',
    '1e999',
    '1_000',
    '2026-01-01',
    '!!binary AA==',
  ),
  fc.constantFrom(
    '[1, 2]',
    '{a: 1}',
    '&a [*a]',
    '*nowhere',
    '"\\u0000"',
    '|',
    '>-',
    '- 1',
    '!!js/function x',
    '<<: *a',
  ),
  fc.double().map(String),
  fc.string({ maxLength: 10 }),
);

/** Settings as people write them, with any value. */
const yaml = target<{ lines: [string, string][]; bytes: ByteEdit[] }>({
  name: 'yaml settings',
  reader: 'yaml',
  whole: { lines: [['lr', '0.5']], bytes: [] },
  plan: fc.record({
    lines: fc.array(
      fc.tuple(
        fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...Object.keys(defaultSettings())) }, scalar),
        scalar,
      ),
      { maxLength: 8 },
    ),
    bytes: seldomEdited(3, 3),
  }),
  write: ({ lines, bytes }, folder) =>
    file(folder, 'a.yaml', editBytes(Buffer.from(lines.map((line) => line.join(': ')).join('\n')), bytes)),
});

/** What stands beside tensors, in JSON and YAML. */
export const metadataTargets: readonly Target[] = [
  metadataTarget('clip_config', 'clipWeights', clipFile, ['clip_config']),
  metadataTarget('checkpoint metadata', 'checkpoint', checkpointFile, [
    'state',
    'state',
    'settings',
    'words',
    'weights_id',
    'format',
  ]),
  bytesTarget('checkpoint bytes', 'checkpoint', ['checkpoint.safetensors'], checkpointFile),
  folderTarget(
    'hugging face folder',
    'clipWeights',
    { 'config.json': huggingFaceConfig, 'preprocessor_config.json': preprocessorConfig },
    async () => ({ 'model.safetensors': await huggingFaceFile() }),
  ),
  folderTarget('open_clip folder', 'clipWeights', { 'open_clip_config.json': openClipConfig }, async () => ({
    'open_clip_model.safetensors': await openClipFile(),
  })),
  index,
  spec,
  runFolder,
  yaml,
];
