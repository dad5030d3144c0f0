import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { guardDisk } from '../src/common/disk.ts';
import { Stopped } from '../src/common/errors.ts';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { runFolder } from '../src/training/default-folder.ts';
import { learningRates } from '../src/training/lr-schedule.ts';
import { checkChanges, savedSettings } from '../src/training/resume.ts';
import { type RunSummary, trainRun } from '../src/training/run.ts';
import type { RunOptions } from '../src/training/run-kind.ts';
import { trainSeeds } from '../src/training/seeds.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('resume');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
const at = (...path: string[]) => join(folder, ...path);

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 32, seed: 3 }));

/** A head on the image alone, on standardized scores: an epoch takes milliseconds. */
function settingsOf(out: string, changes: Partial<Settings> = {}): Settings {
  const values = {
    data: 'csv',
    csv: join(images, 'data.csv'),
    root: images,
    splitColumn: 'split',
    weights,
    trainer: 'image-only',
    mosScaling: 'standard',
    augment: 'none',
    optimizer: 'adamw',
    lr: 0.01,
    epochs: 4,
    batchSize: 8,
    cache: at('cache'),
    out: at(out),
  };
  return applySettings(defaultSettings(), { ...values, ...changes }, 'test');
}

const train = async (settings: Settings, options: Partial<RunOptions> = {}): Promise<RunSummary> =>
  trainRun(await sharedGpu(), settings, { resume: false, reporter: silent, ...options });

/** Ends a run by an error once an epoch's line is told, as a kill right after its checkpoint would. */
const killedAfter = (epoch: number) => ({
  ...silent,
  line: (text: string) => {
    if (text.startsWith(`epoch ${epoch}/`)) throw new Error('killed');
  },
});

const told = () => {
  const lines: string[] = [];
  return { lines, reporter: { ...silent, line: (text: string) => void lines.push(text) } };
};

const json = (...path: string[]) => JSON.parse(readFileSync(at(...path), 'utf8'));
const recordsOf = (out: string) =>
  readFileSync(at(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** What a run left, without where and how long. */
function leftBy(out: string) {
  const { folder: _, seconds: __, finished: ___, settings, ...summary } = json(out, 'summary.json');
  return {
    summary: { ...summary, settings: { ...settings, out: '' } },
    records: recordsOf(out).map(({ seconds: _, ...record }) => record),
    predictions: readFileSync(at(out, 'predictions.csv'), 'utf8'),
    split: readFileSync(at(out, 'split.csv'), 'utf8'),
    files: readdirSync(at(out)).sort(),
  };
}

async function expectSameRun(a: string, b: string) {
  expect(leftBy(b)).toEqual(leftBy(a));
  for (const file of ['checkpoint.safetensors', 'model.safetensors']) {
    const [one, other] = await Promise.all([a, b].map((out) => readCheckpoint(at(out, file))));
    for (const part of ['parameters', 'optimizer', 'best', 'constants'] as const)
      expect(other![part], `${file} ${part}`).toEqual(one![part]);
    expect(other!.state.best).toEqual(one!.state.best);
  }
}

describe('a run that was killed and resumed', () => {
  it('leaves what the undisturbed one leaves, metrics before training among it', async () => {
    await train(settingsOf('whole'));
    await expect(train(settingsOf('killed'), { reporter: killedAfter(2) })).rejects.toThrow('killed');
    expect(readdirSync(at('killed')).sort()).toEqual([
      'checkpoint.safetensors',
      'config.yaml',
      'metrics.jsonl',
      'split.csv',
    ]);
    await train(settingsOf('killed'), { resume: true });
    await expectSameRun('whole', 'killed');
    expect(json('killed', 'summary.json').before.srcc).toBe(json('whole', 'summary.json').before.srcc);
  });

  it('has all of its metrics where it was killed between its last checkpoint and their last line', async () => {
    const settings = settingsOf('metrics');
    let writes = 0;
    const release = guardDisk(({ kind, path }) => {
      if (kind === 'rename' && basename(path) === 'metrics.jsonl' && ++writes === 4)
        throw new Error('killed');
    });
    await expect(train(settings).finally(release)).rejects.toThrow('killed');
    expect(recordsOf('metrics')).toHaveLength(3);
    await train(settings, { resume: true });
    await expectSameRun('whole', 'metrics');
  });

  it('begins from its settings where it was killed before its first checkpoint', async () => {
    await expect(
      train(settingsOf('early'), {
        reporter: {
          ...silent,
          bar: () => {
            throw new Error('killed');
          },
        },
      }),
    ).rejects.toThrow('killed');
    expect(existsSync(at('early', 'checkpoint.safetensors'))).toBe(false);
    const saved = applySettings(defaultSettings(), await savedSettings(at('early'), 'train'), 'test');
    await train({ ...saved, out: at('early') }, { resume: true });
    await expectSameRun('whole', 'early');
  });
});

describe('best_val', () => {
  const best = (out: string, seed: number) =>
    settingsOf(out, { finalModel: 'best_val', valSize: 0.4, lr: 0.02, epochs: 8, seed });

  /** A run whose best epoch is neither the first nor the last nor the worst: the case that matters. */
  async function telling() {
    for (let seed = 1; ; seed++) {
      const settings = best('best', seed);
      const line = (text: string) => {
        const [, epoch] = /^epoch +(\d+)\//.exec(text) ?? [];
        if (epoch) cpSync(join(settings.out, 'checkpoint.safetensors'), at(`best-${epoch}.safetensors`));
      };
      const summary = await train(settings, { overwrite: true, reporter: { ...silent, line } });
      const figures = recordsOf('best').map(({ val }) => val.srcc as number);
      const wanted = figures.indexOf(Math.max(...figures)) + 1;
      if (wanted > 1 && wanted < 7) return { seed, summary, wanted };
    }
  }

  it('keeps the parameters of the epoch with the highest SRCC on the validation part, wherever it is killed', async () => {
    const { seed, summary, wanted } = await telling();
    expect(summary.finalEpoch).toBe(wanted);
    const model = await readCheckpoint(at('best', 'model.safetensors'));
    const chosen = await readCheckpoint(at(`best-${wanted}.safetensors`));
    expect(model.parameters).toEqual(chosen.parameters);
    const last = await readCheckpoint(at('best-8.safetensors'));
    expect(model.parameters).not.toEqual(last.parameters);
    expect(last.best).toEqual(chosen.parameters);

    for (const epoch of [wanted, wanted + 1, wanted + 2]) {
      const out = `best-killed-${epoch}`;
      await expect(train(best(out, seed), { reporter: killedAfter(epoch) })).rejects.toThrow('killed');
      await train(best(out, seed), { resume: true });
      await expectSameRun('best', out);
    }
    // At each rename about the best epoch: config and split, then checkpoint and metrics of each.
    for (let before = 2 * wanted; before <= 2 * wanted + 4; before++) {
      const out = `best-torn-${before}`;
      let renames = 0;
      const release = guardDisk(({ kind }) => {
        if (kind === 'rename' && ++renames > before) throw new Error('killed');
      });
      await expect(train(best(out, seed)).finally(release)).rejects.toThrow('killed');
      await train(best(out, seed), { resume: true });
      await expectSameRun('best', out);
    }
  });
});

describe('resuming', () => {
  it.each([
    [{ lr: 5 }, '--lr 0.01, not 5'],
    [{ seed: 2 }, '--seed 1, not 2'],
    [{ batchSize: 4 }, '--batch-size 8, not 4'],
    [{ mosScaling: 'none' }, '--mos-scaling "standard", not "none"'],
    [{ epochs: 3 }, '--epochs 4, not 3'],
    [{ dropout: 0, trainer: 'linear' }, '--trainer "image-only", not "linear"; --dropout 0.5, not 0'],
  ] as [Partial<Settings>, string][])('refuses another run: %j', async (changes, message) => {
    await expect(train(settingsOf('whole', changes), { resume: true })).rejects.toThrow(
      `was trained with ${message}`,
    );
  });

  it('refuses other data under the same name, and takes the same data from another place', async () => {
    const csv = readFileSync(join(images, 'data.csv'), 'utf8').trim().split('\n');
    const half = at('half.csv');
    writeFileSync(half, csv.filter((_, i) => i === 0 || i % 2 === 1).join('\n'));
    const changed = at('changed.csv');
    writeFileSync(changed, csv.join('\n').replace('5.000', '4.999'));
    for (const path of [half, changed])
      await expect(train(settingsOf('whole', { csv: path }), { resume: true })).rejects.toThrow(
        /was trained on other data: 24 training, 0 validation, 6 test then, /,
      );
    const elsewhere = at('elsewhere');
    cpSync(images, elsewhere, { recursive: true });
    const moved = { csv: join(elsewhere, 'data.csv'), root: elsewhere, cache: 'none' };
    cpSync(at('whole'), at('moved'), { recursive: true });
    await train(settingsOf('moved', moved), { resume: true });
    expect(leftBy('moved').predictions).toBe(leftBy('whole').predictions);
    const [name] = csv[1]!.split(',');
    writeFileSync(join(elsewhere, name!), 'not an image');
    await expect(train(settingsOf('moved', moved), { resume: true })).rejects.toThrow(
      new RegExp(`${name} can no longer be decoded`),
    );
  });

  it('says which changes may show in the last bits, and those of half storage', () => {
    const before = settingsOf('a', { encodeBatch: 8 });
    const now = settingsOf('b', { encodeBatch: 3, cache: 'none' });
    expect(checkChanges(before, now, 'DIR')).toEqual([
      '--encode-batch was 8, now 3: the last bits of the results may differ',
    ]);
    const half = { ...before, cacheType: 'float16' };
    expect(() => checkChanges(half, { ...half, cache: 'none' }, 'DIR')).toThrow(/--cache/);
    expect(checkChanges(half, { ...half, cache: 'elsewhere' }, 'DIR')).toEqual([]);
  });

  it('gives a run more epochs: those run keep their rates, the others take those of the longer run', async () => {
    cpSync(at('whole'), at('longer'), { recursive: true });
    const { lines, reporter } = told();
    const settings = settingsOf('longer', { epochs: 7 });
    const stop = {
      ...reporter,
      line: (text: string) => {
        lines.push(text);
        killedAfter(5).line(text);
      },
    };
    await expect(train(settings, { resume: true, reporter: stop })).rejects.toThrow('killed');
    expect(lines.join('\n')).toMatch(/^extended {3}from 4 to 7 epochs; epochs 1 to 4 ran at their original/m);
    // Of the four epochs' end nothing is left that would be taken for that of seven.
    expect(readdirSync(at('longer'))).not.toContain('model.safetensors');
    expect(readdirSync(at('longer'))).not.toContain('summary.json');
    // The next time it need not be said again.
    const saved = applySettings(defaultSettings(), await savedSettings(at('longer'), 'train'), 'test');
    expect(saved.epochs).toBe(7);
    const summary = await train({ ...saved, out: at('longer') }, { resume: true });
    expect(summary.epochs).toBe(7);
    expect(summary.extended).toEqual([{ after: 4, epochs: 7 }]);
    const rates = recordsOf('longer').map(({ lr }) => lr);
    expect(rates).toEqual([...learningRates(settingsOf('whole')), ...learningRates(settings).slice(4)]);
    expect(recordsOf('longer').slice(0, 4)).toEqual(recordsOf('whole'));
  });

  it('goes on in another folder, and leaves the run it came from', async () => {
    const before = readFileSync(at('whole', 'checkpoint.safetensors'));
    await train(settingsOf('copied', { epochs: 5 }), { resume: at('whole') });
    expect(json('copied', 'summary.json').epochs).toBe(5);
    expect(readFileSync(at('whole', 'checkpoint.safetensors'))).toEqual(before);
    await expect(train(settingsOf('copied', { epochs: 6 }), { resume: at('whole') })).rejects.toThrow(
      /copied already holds a run/,
    );
  });

  it('goes on with a TensorBoard file that is there', async () => {
    const settings = settingsOf('events');
    await expect(train(settings, { reporter: killedAfter(2), tensorboard: true })).rejects.toThrow('killed');
    await train(settings, { resume: true });
    const events = readdirSync(at('events')).filter((name) => name.startsWith('events.out.tfevents.'));
    expect(events).toHaveLength(1);
    const text = readFileSync(at('events', events[0]!), 'latin1');
    expect(text.match(/train\/loss/g)).toHaveLength(4);
  });

  it('needs something to resume, and excludes overwriting', async () => {
    await expect(train(settingsOf('none'), { resume: true })).rejects.toThrow(/nothing to resume/);
    expect(existsSync(at('none'))).toBe(false);
    await expect(train(settingsOf('whole'), { resume: true, overwrite: true })).rejects.toThrow(
      /--overwrite/,
    );
  });
});

describe('a folder with a run in it', () => {
  it('is refused without a word of how, and begun again with --overwrite', async () => {
    cpSync(at('whole'), at('again'), { recursive: true });
    writeFileSync(at('again', 'notes.txt'), 'mine');
    await expect(train(settingsOf('again'))).rejects.toThrow(/again already holds a run/);
    const line = (text: string) => {
      if (!text.startsWith('epoch 1/')) return;
      // Half-way nothing is left of the older run.
      expect(
        readdirSync(at('again'))
          .filter((name) => !name.startsWith('run.lock'))
          .sort(),
      ).toEqual(['checkpoint.safetensors', 'config.yaml', 'metrics.jsonl', 'notes.txt', 'split.csv']);
    };
    await train(settingsOf('again'), { overwrite: true, reporter: { ...silent, line } });
    rmSync(at('again', 'notes.txt'));
    await expectSameRun('whole', 'again');
  });

  it('is left alone by two runs at once: the second is refused', async () => {
    const both = await Promise.allSettled([train(settingsOf('both')), train(settingsOf('both'))]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(
      String((both.find(({ status }) => status === 'rejected') as PromiseRejectedResult).reason),
    ).toMatch(/in use by a run/);
    await expectSameRun('whole', 'both');
  });

  it('is not begun by settings that make no sense, and keeps the run it has', async () => {
    cpSync(at('whole'), at('kept'), { recursive: true });
    await expect(train(settingsOf('kept', { layers: '9' }), { overwrite: true })).rejects.toThrow(
      /blocks 1 to 2/,
    );
    await expectSameRun('whole', 'kept');
  });
});

describe('a run that is stopped', () => {
  it('says after which epoch and how to go on, and ends in the same bits', async () => {
    const stop = new AbortController();
    const line = (text: string) => {
      if (text.startsWith('epoch 2/')) stop.abort();
    };
    const error = await train(settingsOf('stopped'), {
      reporter: { ...silent, line },
      signal: stop.signal,
    }).catch((reason) => reason);
    expect(error).toBeInstanceOf(Stopped);
    expect(error.message).toBe(
      `after epoch 2 of 4; continue with: node dist/train.js --resume ${at('stopped')}`,
    );
    await train(settingsOf('stopped'), { resume: true });
    await expectSameRun('whole', 'stopped');
  });

  it('while it encodes goes on from its settings', async () => {
    const stop = new AbortController();
    const bar = () => ({ advance: () => stop.abort(), stop: () => {} });
    const options = { reporter: { ...silent, bar }, signal: stop.signal };
    await expect(train(settingsOf('encoding', { cache: 'none' }), options)).rejects.toThrow(
      /^before the end of the first epoch; continue with: .*--resume/,
    );
    await train(settingsOf('encoding', { cache: 'none' }), { resume: true });
    expect(leftBy('encoding').predictions).toBe(leftBy('whole').predictions);
  });
});

describe('a run', () => {
  it('that is stopped while its scenes are drawn leaves nothing', async () => {
    const stop = new AbortController();
    const bar = () => ({ advance: () => stop.abort(), stop: () => {} });
    const settings = settingsOf('undrawn', { data: 'scenes', root: at('undrawn-scenes') });
    const error = await train(settings, { reporter: { ...silent, bar }, signal: stop.signal }).catch(
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(Stopped);
    expect(error.message).toBe('before anything was computed; nothing was written');
    expect(existsSync(at('undrawn'))).toBe(false);
    expect(existsSync(at('undrawn-scenes'))).toBe(false);
  });

  it('says what its figures cannot: one score, one test image, epochs of warm-up alone', async () => {
    const rows = readFileSync(join(images, 'data.csv'), 'utf8').trim().split('\n').slice(1);
    const csv = (name: string, lines: readonly string[]) => {
      writeFileSync(at(name), ['name,mos,split', ...lines].join('\n'));
      return at(name);
    };
    const names = rows.map((row) => row.split(',')[0]!);
    const parts = (mos: (i: number) => number, tests: number) =>
      names.slice(0, 12).map((name, i) => `${name},${mos(i)},${i < tests ? 'test' : 'train'}`);
    const warnings = async (out: string, lines: readonly string[], epochs: number) => {
      const { lines: heard, reporter } = told();
      await train(settingsOf(out, { csv: csv(`${out}.csv`, lines), epochs }), { reporter });
      return heard.filter((line) => line.startsWith('warning')).join('\n');
    };
    expect(
      await warnings(
        'constant',
        parts(() => 3, 4),
        2,
      ),
    ).toMatch(/^warning +all scores are equal.*$/m);
    expect(
      await warnings(
        'single',
        parts((i) => i, 1),
        2,
      ),
    ).toMatch(/^warning +the test set is a single image.*$/m);
    expect(
      await warnings(
        'warm',
        parts((i) => i, 4),
        1,
      ),
    ).toMatch(/^warning +every epoch is a warm-up epoch.*$/m);
  });
});

describe('checkpoints', () => {
  /** The same file with something changed. */
  async function rewritten(
    path: string,
    change: (metadata: Record<string, string>, tensors: Map<string, Float32Array>) => void,
  ) {
    const file = await openTensorFile(path);
    const values = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) values.set(name, await file.read(name));
    const metadata = { ...file.metadata };
    change(metadata, values);
    const tensors = [...values].map(
      ([name, data]) =>
        [name, { dtype: 'F32' as const, shape: file.tensors.get(name)!.shape, data }] as const,
    );
    await file.close();
    await writeSafetensors(path, new Map(tensors), metadata);
  }

  it('of the first format are read as models, but not resumed', async () => {
    cpSync(at('whole'), at('first'), { recursive: true });
    for (const name of ['checkpoint.safetensors', 'model.safetensors'])
      await rewritten(at('first', name), (metadata) => {
        metadata.format = 'clip-agiqa-webgpu checkpoint 1';
        const { before: _, plan: __, ...state } = JSON.parse(metadata.state!);
        metadata.state = JSON.stringify(state);
        delete metadata.data;
      });
    await expect(train(settingsOf('first'), { resume: true })).rejects.toThrow(
      /written by an earlier version/,
    );
    const scorer = await Scorer.load(await sharedGpu(), at('first'));
    await scorer.close();
  });

  it.each([['parameters.head.1.weight'], ['optimizer.second.0']])(
    'with a NaN in %s are refused, and stay as they are',
    async (name) => {
      const out = `nan-${name}`;
      await expect(train(settingsOf(out), { reporter: killedAfter(2) })).rejects.toThrow('killed');
      const path = at(out, 'checkpoint.safetensors');
      await rewritten(path, (_, tensors) => {
        tensors.get(name)![3] = Number.NaN;
      });
      const before = readFileSync(path);
      await expect(train(settingsOf(out), { resume: true })).rejects.toThrow(`tensor ${name} holds NaN at `);
      expect(readFileSync(path)).toEqual(before);
    },
  );

  it.each([
    ['state', '{"epoch":'],
    ['state', '{"epoch":"three","records":[],"best":null}'],
    ['state', '{"epoch":3,"records":{},"best":null}'],
    ['state', 'null'],
    ['settings', 'null'],
    ['settings', '[1]'],
    ['words', '"perfect"'],
    ['data', '{}'],
  ])('with damaged %s (%s) are refused in one line', async (key, value) => {
    const path = at('damaged.safetensors');
    cpSync(at('whole', 'checkpoint.safetensors'), path);
    await rewritten(path, (metadata) => {
      metadata[key] = value;
    });
    await expect(readCheckpoint(path)).rejects.toThrow(new RegExp(`damaged.safetensors, metadata ${key}: `));
  });

  it('without one of their parts are refused in one line', async () => {
    for (const key of ['state', 'settings', 'words', 'weights_id']) {
      const path = at('damaged.safetensors');
      cpSync(at('whole', 'checkpoint.safetensors'), path);
      await rewritten(path, (metadata) => {
        delete metadata[key];
      });
      await expect(readCheckpoint(path)).rejects.toThrow(
        key === 'weights_id'
          ? /does not record which weights/
          : `damaged.safetensors, metadata ${key}: is missing`,
      );
    }
  });
});

it('runs of several seeds are resumed each where it stands, and stopped ones say how', async () => {
  const gpu = await sharedGpu();
  const settings = settingsOf('seeds');
  const stop = new AbortController();
  let runs = 0;
  const line = (text: string) => {
    if (text.startsWith('seed ')) runs++;
    if (runs === 2 && text.startsWith('epoch 3/')) stop.abort();
  };
  await expect(
    trainSeeds(gpu, settings, [1, 2, 3], {
      resume: false,
      reporter: { ...silent, line },
      signal: stop.signal,
    }),
  ).rejects.toThrow(
    `in run 2 of 3 (seed 2) after epoch 3 of 4; continue with: node dist/train.js --resume ${at('seeds')} --seeds 1,2,3`,
  );
  await expect(trainSeeds(gpu, settings, [1, 2, 3], { resume: false, reporter: silent })).rejects.toThrow(
    /seed1 already holds a run/,
  );
  const resumed = await trainSeeds(gpu, settings, [1, 2, 3], { resume: at('seeds'), reporter: silent });
  expect(existsSync(at('seeds', 'seeds.json'))).toBe(true);
  await expect(trainSeeds(gpu, settings, [4], { resume: false, reporter: silent })).rejects.toThrow(
    /seeds\.json already exists/,
  );
  renameSync(at('seeds'), at('seeds-resumed'));
  const whole = await trainSeeds(gpu, settings, [1, 2, 3], { resume: false, reporter: silent });
  expect(resumed).toEqual(whole);
});

describe('default folders', () => {
  const of = (changes: Partial<Settings>) =>
    runFolder(applySettings(defaultSettings(), { ...changes, out: '' }, 'test'));

  it('begin as the published ones', () => {
    expect(of({ data: 'agiqa-3k', target: 'quality' })).toBe(
      join('output', 'agiqa-3k-quality', 'clip-agiqa_nctx16_cscfalse_ctpend', 'seed1'),
    );
  });

  it('differ wherever settings differ, but not by where things lie or how fast they go', () => {
    const csv = { data: 'csv', csv: 'a.csv' };
    const folders = [
      ...[{}, csv, { ...csv, csv: 'b.csv' }, { ...csv, lr: 0.1 }, { ...csv, optimizer: 'adamw' as const }],
      ...[{ weights: 'a.pt' }, { epochs: 50 }, { nCtx: 4 }, { shots: 4 }, { seed: 2 }, { limit: 9 }],
      ...[{ trainer: 'image-only' as const }, { trainer: 'image-only' as const, pool: 'mean' as const }],
    ].map(of);
    expect(new Set(folders).size).toBe(folders.length);
    expect(of({ cache: 'none', tune: 'never', encodeBatch: 2 })).toBe(of({}));
    expect(of({ ...csv, csv: './a.csv' })).toBe(of(csv));
  });
});
