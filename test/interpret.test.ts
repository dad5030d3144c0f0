import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { writeTorchScript } from '../src/data/formats/torchscript-writer.ts';
import type { Tokenizer } from '../src/data/tokenizer/tokenizer.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { qualityWords } from '../src/model/agiqa.ts';
import { nearestRows } from '../src/model/nearest-tokens.ts';
import { weightsId } from '../src/model/weights/weights-id.ts';
import { contextWords } from '../src/scoring/learned-context.ts';
import { writeCheckpoint } from '../src/training/checkpoint.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { runBuilt } from './built-command.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyConfig, tinyTensors } from './tiny-clip.ts';

const folder = temporaryFolder('interpret');
const weights = join(folder, 'clip.safetensors');
const { width } = tinyConfig.text!;
const said = ['a', 'photo', 'of', 'sunsets'];
let table: Float32Array;
let tokenizer: Tokenizer;

/** Vectors at a known distance from the embeddings of words: the first number of each is moved by `away`. */
function near(words: readonly string[], away: number): Float32Array {
  return Float32Array.from(
    words.flatMap((word) => {
      const [id] = tokenizer.encode(word);
      const row = table.slice(id! * width, (id! + 1) * width);
      row[0]! += away;
      return [...row];
    }),
  );
}

async function writeRun(name: string, parameters: Map<string, { shape: number[]; data: Float32Array }>) {
  const run = join(folder, name);
  await writeCheckpoint(join(run, 'model.safetensors'), {
    settings: { ...defaultSettings(), weights, trainer: parameters.has('ctx') ? 'clip-agiqa' : 'linear' },
    state: { epoch: 1, records: [], best: null },
    weightsId: await weightsId(weights),
    words: qualityWords,
    parameters,
    optimizer: new Map(),
    constants: new Map(),
  });
  return run;
}

beforeAll(async () => {
  tokenizer = await loadTokenizer();
  const text = { ...tinyConfig.text!, vocabSize: tokenizer.vocabSize };
  const tensors = tinyTensors({ ...tinyConfig, text });
  table = tensors.get('token_embedding.weight')!.data;
  await writeSafetensors(weights, tensors);
});

describe('the nearest rows', () => {
  it('are those of a full sort by distance, ties by row', () => {
    const rows = Float32Array.of(0, 0, 3, 4, 1, 0, 0, 1, -6, 8);
    expect(nearestRows(Float32Array.of(0, 0, 3, 3), rows, 2, 3)).toEqual([
      [
        { id: 0, distance: 0 },
        { id: 2, distance: 1 },
        { id: 3, distance: 1 },
      ],
      [
        { id: 1, distance: 1 },
        { id: 2, distance: Math.sqrt(13) },
        { id: 3, distance: Math.sqrt(13) },
      ],
    ]);
    expect(nearestRows(Float32Array.of(0, 0), rows, 2, 9)[0]).toHaveLength(5);
  });
});

describe('interpret', () => {
  it('names the words that a shared context lies beside, as a table and as JSON', async () => {
    const run = await writeRun(
      'shared',
      new Map([['ctx', { shape: [said.length, width], data: near(said, 0.01) }]]),
    );
    const command = (...args: string[]) => runBuilt('interpret', [run, ...args]);
    const { contexts } = JSON.parse(command('--top', '2', '--json').stdout);
    expect(contexts).toHaveLength(1);
    expect(contexts[0].word).toBeNull();
    for (const [v, { norm, nearest }] of contexts[0].vectors.entries()) {
      const [id] = tokenizer.encode(said[v]!);
      expect(nearest[0]).toMatchObject({ id, token: `${said[v]}</w>`, text: said[v] });
      expect(nearest[0].distance).toBeCloseTo(0.01, 6);
      expect(nearest[1].distance).toBeGreaterThan(0.1);
      expect(norm).toBeCloseTo(Math.hypot(...near([said[v]!], 0.01)), 6);
    }
    const lines = command('--top', '1').stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^vector +length +nearest +distance$/);
    expect(lines.slice(2).map((line) => line.trim().split(/ +/).slice(2))).toEqual(
      said.map((word) => [word, '0.0100']),
    );
  });

  it("reads each word's own context, of a class-specific run", async () => {
    const shape = [qualityWords.length, 1, width];
    const run = await writeRun('csc', new Map([['ctx', { shape, data: near(qualityWords, 0.02) }]]));
    const { contexts } = await contextWords(run, { top: 1 });
    expect(contexts.map(({ word, vectors }) => [word, vectors[0]!.nearest[0]!.text])).toEqual(
      qualityWords.map((word) => [word, word]),
    );
  });

  it("reads the published trainer's folders and single checkpoints, CoOp's without a head too", async () => {
    const path = join(folder, 'published');
    mkdirSync(join(path, 'prompt_learner'), { recursive: true });
    const file = join(path, 'prompt_learner', 'model.pth.tar-3');
    const ctx = { dtype: 'F32' as const, shape: [2, width], data: near(['good', 'bad'], 0.01) };
    await writeTorchScript(file, new Map([['ctx', ctx]]));
    for (const given of [path, file]) {
      const { contexts } = await contextWords(given, { weights, top: 1 });
      expect(contexts[0]!.vectors.map(({ nearest }) => nearest[0]!.text)).toEqual(['good', 'bad']);
    }
    await expect(contextWords(path, { top: 1 })).rejects.toThrow(/does not record which CLIP weights/);
    await expect(contextWords(path, { weights, top: 1, epoch: 9 })).rejects.toThrow(
      /model\.pth\.tar-9 is not in prompt_learner/,
    );
    const narrow = { dtype: 'F32' as const, shape: [2, 8], data: new Float32Array(16) };
    await writeTorchScript(file, new Map([['ctx', narrow]]));
    await expect(contextWords(path, { weights, top: 1 })).rejects.toThrow(
      /embeddings are 64 wide, the context vectors 8/,
    );
  });

  it('says when nothing was learned, or the weights are others', async () => {
    const none = await writeRun('none', new Map());
    await expect(contextWords(none, { top: 1 })).rejects.toThrow(/linear learns no context vectors/);
    const run = await writeRun('other', new Map([['ctx', { shape: [1, width], data: near(['a'], 0) }]]));
    const other = 'test/fixtures/tiny-clip.json';
    await expect(contextWords(run, { weights: other, top: 1 })).rejects.toThrow(/are not the weights/);
    await expect(contextWords(join(folder, 'absent'), { top: 1 })).rejects.toThrow(/no such file or folder/);
  });

  it('shows where a piece of a word goes on', async () => {
    const id = 513; // "th"
    const data = table.slice(id * width, (id + 1) * width);
    const run = await writeRun('piece', new Map([['ctx', { shape: [1, width], data }]]));
    const [nearest] = (await contextWords(run, { top: 1 })).contexts[0]!.vectors[0]!.nearest;
    expect(nearest).toMatchObject({ id, token: tokenizer.token(id), distance: 0 });
    expect(nearest!.token).not.toContain('</w>');
    expect(nearest!.text).toBe('th-');
  });
});
