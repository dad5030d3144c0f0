import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keep } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { Stopped } from '../src/common/errors.ts';
import { defaultValues } from '../src/common/fields.ts';
import { silent } from '../src/common/reporter.ts';
import { pretrainingKind } from '../src/pretraining/open-run.ts';
import { pretrainingFields } from '../src/pretraining/settings.ts';
import { withTensorFile } from '../src/training/checkpoint-file.ts';
import { readPart } from '../src/training/checkpoint-format.ts';
import { dataIdentity } from '../src/training/data-identity.ts';
import { NonFiniteError } from '../src/training/finite.ts';
import { trainingKind } from '../src/training/open-run.ts';
import type { RunKind, RunOptions, RunSettings, RunState } from '../src/training/run-kind.ts';
import { SavedRun } from '../src/training/saved-run.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saved-run-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const made: Tensor[] = [];
afterAll(() => {
  for (const tensor of made) tensor.dispose();
});
const tensor = (...values: number[]) => {
  made.push(keep(Tensor.from(gpu, values)));
  return made.at(-1)!;
};
const named = (...values: number[]) => new Map([['w', tensor(...values)]]);

const data = dataIdentity({ images: [['a', 1]] });
const checkpoint = (out: string) => join(folder, out, 'checkpoint.safetensors');
const valuesIn = (out: string, part: string) =>
  withTensorFile(checkpoint(out), async (file) => [...(await readPart(file, part)).get('w')!.data]);

/** What holds of runs of every kind; `state`: of a run that has come so far. */
function behaves<Settings extends RunSettings, State extends RunState, More extends object>(
  kind: RunKind<Settings, State, More>,
  settings: Settings,
  more: More,
  state: (done: number) => State,
) {
  const { unit } = kind;
  const total = 5;
  const open = (out: string, options: Partial<RunOptions> = {}, changes: object = {}) =>
    SavedRun.open(
      kind,
      join(folder, out),
      { ...settings, epochs: 4, ...changes },
      { resume: false, reporter: silent, ...options },
    );

  /** A run with one checkpoint. */
  async function begun(out: string) {
    const run = await open(out);
    run.identify(data);
    await run.begin(total);
    await run.save(state(2), { parameters: named(1, 2), optimizer: named(3) }, more);
    run.close();
  }

  it('goes on with the values it was saved with', async () => {
    await begun('run');
    const run = await open('run', { resume: true });
    run.identify(data);
    expect(await run.begin(total)).toBe(true);
    expect(await run.begin(total)).toBe(false);
    expect(run.done).toBe(2);
    const device = { parameters: named(0, 0), optimizer: named(0) };
    expect(await run.restore(device)).toMatchObject({ plan: [{ after: 0, epochs: 4 }] });
    expect(await device.parameters.get('w')!.read()).toEqual(Float32Array.of(1, 2));
    expect(await device.optimizer.get('w')!.read()).toEqual(Float32Array.of(3));
    const other = { parameters: named(0, 0, 0), optimizer: named(0) };
    await expect(run.restore(other)).rejects.toThrow(/checkpoint\.safetensors: w is \[2\], expected \[3\]/);
    run.close();
  });

  it('keeps its last checkpoint where a number of the next is not finite', async () => {
    const run = await open('run');
    run.identify(data);
    await run.begin(total);
    const save = (done: number, parameter: number, moment: number) =>
      run.save(state(done), { parameters: named(1, parameter), optimizer: named(moment) }, more);
    await save(1, 2, 3);
    const before = readFileSync(checkpoint('run'));
    await expect(save(2, Number.NaN, 3)).rejects.toThrow(new RegExp(`^w became NaN in ${unit} 2`));
    await expect(save(2, 2, Infinity)).rejects.toThrow(/^the optimizer's w became Infinity/);
    expect(readFileSync(checkpoint('run'))).toEqual(before);
    expect(run.done).toBe(1);
    run.close();
  });

  it('carries the best parameters from checkpoint to checkpoint', async () => {
    const run = await open('run');
    run.identify(data);
    await run.begin(total);
    const save = (done: number, value: number, best: 'parameters' | 'best' | null) =>
      run.save(state(done), { parameters: named(value), optimizer: named(0) }, more, best);
    await save(1, 10, null);
    await save(2, 20, 'parameters');
    await save(3, 30, 'best');
    expect([await valuesIn('run', 'parameters'), await valuesIn('run', 'best')]).toEqual([[30], [10]]);
    const best = named(0);
    await run.restoreBest(best);
    expect(await best.get('w')!.read()).toEqual(Float32Array.of(10));
    run.close();
  });

  it('is given more epochs, and goes on in another folder, which leaves the first as it was', async () => {
    await begun('run');
    const before = readFileSync(checkpoint('run'));
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => void lines.push(text) };
    const run = await open('longer', { resume: join(folder, 'run'), reporter }, { epochs: 9 });
    run.identify(data);
    await run.begin(9);
    run.close();
    expect(lines[0]).toMatch(`extended   from 4 to 9 epochs; ${unit}s 1 to 2 ran at their original`);
    expect(run.extended).toEqual({ extended: [{ after: 2, epochs: 9 }] });
    expect(readFileSync(checkpoint('run'))).toEqual(before);
    expect(await valuesIn('longer', 'parameters')).toEqual([1, 2]);
    // Its own checkpoint says it from now on.
    const again = await open('longer', { resume: true }, { epochs: 9 });
    expect(again.last!.settings.epochs).toBe(9);
    expect(again.extended).toEqual(run.extended);
    again.close();
    await expect(open('longer', { resume: true })).rejects.toThrow(/--epochs 9, not 4/);
  });

  it('refuses other data, other settings and a damaged checkpoint, and stays as it is', async () => {
    await begun('run');
    const before = readFileSync(checkpoint('run'));
    await expect(open('run', { resume: true }, { lr: 7 })).rejects.toThrow(/was trained with --lr/);
    const run = await open('run', { resume: true });
    expect(() => run.identify(dataIdentity({ images: [['b', 1]] }))).toThrow(/was trained on other data/);
    run.close();
    expect(readFileSync(checkpoint('run'))).toEqual(before);
    // One bit of the last tensor, which three checksums of four bytes follow: the header's, and one a tensor.
    const damaged = Uint8Array.from(before);
    damaged[damaged.length - 13]! ^= 1;
    writeFileSync(checkpoint('run'), damaged);
    await expect(open('run', { resume: true })).rejects.toThrow(/checksum/);
    expect(readdirSync(join(folder, 'run')).sort()).toEqual([
      'checkpoint.safetensors',
      'config.yaml',
      'metrics.jsonl',
    ]);
  });

  it('says of an error how far it came and how to go on', async () => {
    const stop = new AbortController();
    const run = await open('run', { signal: stop.signal });
    run.identify(data);
    stop.abort(new Error('stop'));
    const stopped = () => run.explain(stop.signal.reason) as Stopped;
    expect(stopped().done).toMatch(/before anything was computed/);
    await run.begin(total);
    expect(stopped().done).toMatch(/^before the (end of the first epoch|first checkpoint)$/);
    const diverged = () => run.explain(new NonFiniteError('the loss became NaN')) as { advice: string };
    expect(diverged().advice).toMatch(/^Lower --lr.* There is no checkpoint yet\.$/);
    await run.save(state(3), { parameters: named(1), optimizer: named(1) }, more);
    expect(stopped()).toBeInstanceOf(Stopped);
    expect(stopped().done).toBe(`after ${unit} 3 of 5`);
    expect(stopped().message).toContain(`--resume ${join(folder, 'run')}`);
    expect(diverged().advice).toContain(`The checkpoint of ${unit} 3 is intact: ${checkpoint('run')}`);
    const other = new Error('other');
    expect(run.explain(other)).toBe(other);
    run.close();
  });
}

const begins = { records: [], plan: [{ after: 0, epochs: 4 }] };
describe('a run of training as it is saved', () =>
  behaves(trainingKind, defaultSettings(), { weightsId: 'abc', words: ['good'] }, (epoch) => ({
    ...begins,
    epoch,
    best: null,
  })));
describe('a run of pre-training as it is saved', () =>
  behaves(pretrainingKind, defaultValues(pretrainingFields), {}, (step) => ({ ...begins, step })));
