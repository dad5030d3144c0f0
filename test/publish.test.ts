import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { guardDisk } from '../src/common/disk.ts';
import { temporaryName } from '../src/common/files.ts';
import { identityText, ownIdentity } from '../src/common/process-identity.ts';
import { PublishConflict, publish, sweepTemporaries } from '../src/common/publish.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('publish');
const temporaries = join(folder, 'tmp');
const bytes = (text: string) => Buffer.from(text);

it('the first writer wins, equal bytes are a success, others an alarm', () => {
  const path = join(folder, 'a', 'b', 'result.csv');
  expect(publish(path, bytes('one'), temporaries)).toBe('written');
  expect(publish(path, bytes('one'), temporaries)).toBe('same');
  for (const other of ['two', 'longer'])
    expect(() => publish(path, bytes(other), temporaries)).toThrow(PublishConflict);
  expect(readFileSync(path, 'utf8')).toBe('one');
  expect(readdirSync(temporaries)).toEqual([]);
});

it('a name that appears between the check and the link is not replaced', () => {
  const path = join(folder, 'race.csv');
  const release = guardDisk(({ kind, path: at }) => {
    if (kind === 'link' && at === path) writeFileSync(path, 'theirs');
  });
  try {
    expect(() => publish(path, bytes('ours'), temporaries)).toThrow(PublishConflict);
  } finally {
    release();
  }
  expect(readFileSync(path, 'utf8')).toBe('theirs');
});

it('where there are no hard links it renames, and still replaces nothing', () => {
  const release = guardDisk(({ kind }) => {
    if (kind === 'link') throw Object.assign(new Error('no links'), { code: 'ENOTSUP' });
  });
  try {
    const path = join(folder, 'fat.csv');
    expect(publish(path, bytes('one'), temporaries)).toBe('written');
    expect(publish(path, bytes('one'), temporaries)).toBe('same');
    expect(() => publish(path, bytes('two'), temporaries)).toThrow(PublishConflict);
    expect(readdirSync(temporaries)).toEqual([]);
  } finally {
    release();
  }
});

it('a link in the place of the result is not followed', () => {
  const [outside, path] = [join(folder, 'outside'), join(folder, 'link.csv')];
  writeFileSync(outside, 'kept');
  symlinkSync(outside, path);
  expect(() => publish(path, bytes('one'), temporaries)).toThrow(/is not a regular file/);
  expect(readFileSync(outside, 'utf8')).toBe('kept');
});

it('a full disk leaves no result', () => {
  const path = join(folder, 'full.csv');
  const release = guardDisk(({ kind }) => {
    if (kind === 'sync') throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  });
  try {
    expect(() => publish(path, bytes('one'), temporaries)).toThrow(/no space left/);
  } finally {
    release();
  }
  expect(existsSync(path)).toBe(false);
});

it('sweeps what gone processes left, and what of other machines is a day old', () => {
  const place = join(folder, 'sweep');
  mkdirSync(place);
  const machine = { ...ownIdentity(), machine: '00000000' };
  const names = {
    own: temporaryName(),
    gone: `.clip-agiqa-${identityText({ ...ownIdentity(), pid: 2 ** 22 + 1, started: 1 })}-00.0.tmp`,
    foreign: `.clip-agiqa-${identityText(machine)}-00.0.tmp`,
    old: `.clip-agiqa-${identityText(machine)}-00.1.tmp`,
    other: 'notes.tmp',
  };
  for (const name of Object.values(names)) writeFileSync(join(place, name), 'torn');
  const past = Date.now() / 1000 - 25 * 3600;
  for (const name of [names.old, names.other]) utimesSync(join(place, name), past, past);
  sweepTemporaries(place);
  expect(readdirSync(place).sort()).toEqual([names.own, names.foreign, names.other].sort());
});
