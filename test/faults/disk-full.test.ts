import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DiskOperation, guardDisk, TornWrite } from '../../src/common/disk.ts';
import { UserError } from '../../src/common/errors.ts';
import { uniform } from '../../src/common/random.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { sharedGpu } from '../gpu.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { artifactsOf, differences } from './artifacts.ts';
import { isBelow, leaveToProcess } from './disk-states.ts';
import { kinds, prepareImages } from './kinds.ts';
import { crashStates, goneProcess, runUndisturbed, type Undisturbed } from './sweep.ts';

const folder = temporaryFolder('disk-full');
let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
  await prepareImages(join(folder, 'any'));
});

const kindOf = (name: string) => kinds.find((kind) => kind.name === name)!;
const inFolder = (name: string) => join(folder, name.replaceAll(' ', '-'));

/** The bytes of every finished file, without those that go with the process and those that grow as it runs. */
function finished(path: string): Map<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter(
    (name) =>
      !/(^|[/\\])(\.clip-agiqa-|run\.lock-|events\.out\.)/.test(name) && lstatSync(join(path, name)).isFile(),
  );
  return new Map(files.map((name) => [name, readFileSync(join(path, name), 'latin1')]));
}

const leftOver = (path: string): string[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tmp|run\.lock/.test(name));

const refusal = (code: string) => Object.assign(new Error(`${code}: refused by the test`), { code });

/** Runs a kind from its beginning on a disk that refuses, from the nth operation on, what `refused` says of it. */
async function runRefused(
  { kind, folder: place, roots }: Undisturbed,
  { nth, like }: Refusal,
  refused: (operation: DiskOperation) => Error | undefined,
): Promise<{ error: unknown; before: Map<string, string> }> {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
  let count = 0;
  let before = new Map<string, string>();
  const existing = () => roots.some((root) => lstatSync(root, { throwIfNoEntry: false }));
  const release = guardDisk((operation) => {
    if (!isBelow(operation, roots) || ++count < nth) return;
    if (count === nth) {
      expect(operation.kind).toBe(like.kind);
      if (existing()) before = finished(place);
    }
    const error = refused(operation);
    if (error) throw error;
  });
  try {
    await kind.run(gpu, place, false);
    return { error: undefined, before };
  } catch (error) {
    return { error, before };
  } finally {
    release();
  }
}

function expectOneLine(error: unknown, message: RegExp): void {
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(message);
  expect((error as UserError).message).not.toContain('\n');
  expect((error as UserError).advice).toBeTruthy();
}

/** From which of a run's operations on the disk refuses: the `nth`, which is one `like` this. */
interface Refusal {
  readonly nth: number;
  readonly like: DiskOperation;
}

/** Of each state that a run leaves on its way, one operation in it that needs space. */
function refusals({ points }: Undisturbed): Refusal[] {
  const whole = points.filter(({ torn }) => !torn);
  return crashStates(points).flatMap((state, i) => {
    const needy = state.points.filter(({ torn, operation }) => !torn && /open|write/.test(operation.kind));
    const picked = needy[Math.floor(uniform(5, 1, i) * needy.length)];
    return picked ? [{ nth: whole.indexOf(picked) + 1, like: picked.operation }] : [];
  });
}

describe.each(['best_val', 'tensorboard', 'seeds', 'scenes'])('%s', (name) => {
  it('says in one line that the disk is full, keeps what was finished, and goes on once there is space', async () => {
    const run = await runUndisturbed(gpu, kindOf(name), inFolder(`full ${name}`));
    const full = ({ kind, bytes }: DiskOperation) => {
      if (kind === 'write') return new TornWrite(Math.floor(bytes! / 2), refusal('ENOSPC'));
      return kind === 'open' || kind === 'make-folder' ? refusal('ENOSPC') : undefined;
    };
    const tried = refusals(run);
    expect(tried.length).toBeGreaterThan(8);
    for (const refused of tried) {
      const { error, before } = await runRefused(run, refused, full);
      expectOneLine(error, /no space left on the disk/);
      expect(finished(run.folder), `refused from operation ${refused.nth} on`).toEqual(before);
      expect(leftOver(run.folder)).toEqual([]);
      await run.kind.run(gpu, run.folder, true);
      expect(
        differences(artifactsOf(run.folder), run.artifacts),
        `refused from operation ${refused.nth} on`,
      ).toEqual([]);
    }
  });

  it('says in one line that the disk has become read-only, and goes on later', async () => {
    const run = await runUndisturbed(gpu, kindOf(name), inFolder(`read-only ${name}`));
    const gone = goneProcess();
    const tried = refusals(run).filter((_, i) => i % 3 === 0);
    for (const refused of tried) {
      const { error, before } = await runRefused(run, refused, () => refusal('EROFS'));
      expectOneLine(error, /is on a read-only file system/);
      expect(finished(run.folder), `refused from operation ${refused.nth} on`).toEqual(before);
      // Nothing could be cleared away; later the process that left it has ended.
      leaveToProcess(run.roots, gone);
      await run.kind.run(gpu, run.folder, true);
      expect(
        differences(artifactsOf(run.folder), run.artifacts),
        `refused from operation ${refused.nth} on`,
      ).toEqual([]);
    }
  });
});

it('a full disk under the feature cache costs a line, not the run', async () => {
  const run = await runUndisturbed(gpu, kindOf('cache'), inFolder('full-cache'));
  const [cache, out] = [join(run.folder, 'cache'), join(run.folder, 'run')];
  const wanted = artifactsOf(out);
  const ofCache = run.points.filter(({ torn, operation }) => !torn && isBelow(operation, [cache]));
  expect(ofCache.length).toBeGreaterThan(3);
  for (let nth = 1; nth <= ofCache.length; nth += nth < 3 ? 1 : 4) {
    for (const root of run.roots) rmSync(root, { recursive: true, force: true });
    let count = 0;
    const release = guardDisk((operation) => {
      if (!isBelow(operation, [cache]) || ++count < nth || operation.kind === 'remove') return;
      throw operation.kind === 'write'
        ? new TornWrite(Math.floor(operation.bytes! / 2), refusal('ENOSPC'))
        : refusal('ENOSPC');
    });
    try {
      await run.kind.run(gpu, run.folder, false);
    } finally {
      release();
    }
    expect(differences(artifactsOf(out), wanted), `refused from operation ${nth} on`).toEqual([]);
    // What reached the disk is of use, and what did not is encoded again.
    rmSync(out, { recursive: true });
    await run.kind.run(gpu, run.folder, false);
    expect(differences(artifactsOf(out), wanted), `after operation ${nth}`).toEqual([]);
  }
});
