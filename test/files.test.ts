import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { type DiskOperation, guardDisk, TornWrite } from '../src/common/disk.ts';
import { checkOutput, openOutput, prepareFolder, temporaryName, writeOutput } from '../src/common/files.ts';
import { identityText, ownIdentity, parseIdentity, stateOf } from '../src/common/process-identity.ts';
import { temporaryFolder } from './temporary-folder.ts';

const scratch = temporaryFolder('files');
const newFolder = () => mkdtempSync(join(scratch, 'at-'));

describe('an output', () => {
  it('gets its name when it is whole, and leaves the older file where it fails', async () => {
    const path = join(newFolder(), 'a', 'b', 'out.txt');
    await writeOutput(path, 'first');
    const output = openOutput(path);
    output.write('sec');
    expect(readFileSync(path, 'utf8')).toBe('first');
    output.write(Buffer.from('ond'));
    output.commit();
    expect(readFileSync(path, 'utf8')).toBe('second');
    const failing = writeOutput(path, [Buffer.from('third'), Buffer.alloc(1), undefined as never]);
    await expect(failing).rejects.toThrow(TypeError);
    expect(readFileSync(path, 'utf8')).toBe('second');
    expect(readdirSync(join(path, '..'))).toEqual(['out.txt']);
  });

  it('reaches the disk before it gets its name, and the name reaches it after', async () => {
    const folder = newFolder();
    const seen: DiskOperation[] = [];
    const release = guardDisk((operation) => void seen.push(operation));
    try {
      await writeOutput(join(folder, 'out.txt'), [Buffer.from('one'), Buffer.from('two')]);
    } finally {
      release();
    }
    const beside = expect.stringMatching(/\.clip-agiqa-.*\.tmp$/);
    expect(seen.filter(({ kind }) => kind !== 'make-folder')).toEqual([
      { kind: 'open', path: beside },
      { kind: 'write', path: beside, bytes: 3 },
      { kind: 'write', path: beside, bytes: 3 },
      { kind: 'sync', path: beside },
      { kind: 'rename', path: join(folder, 'out.txt') },
      { kind: 'sync', path: folder },
    ]);
  });

  it('keeps the permissions of the file it replaces', async () => {
    const path = join(newFolder(), 'out.txt');
    writeFileSync(path, 'old', { mode: 0o600 });
    await writeOutput(path, 'new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('follows symbolic links, also to a file that is yet to be made', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'there'));
    symlinkSync('there/real.txt', join(folder, 'link'));
    symlinkSync('link', join(folder, 'second'));
    for (const text of ['one', 'two']) {
      await writeOutput(join(folder, 'second'), text);
      expect(readFileSync(join(folder, 'there/real.txt'), 'utf8')).toBe(text);
    }
    expect(readlinkSync(join(folder, 'link'))).toBe('there/real.txt');
    expect(readlinkSync(join(folder, 'second'))).toBe('link');
    symlinkSync('round', join(folder, 'round'));
    await expect(writeOutput(join(folder, 'round'), 'x')).rejects.toThrow(/too many symbolic links/);
  });

  it.skipIf(process.platform === 'win32')('goes into a pipe, which stays one', async () => {
    const pipe = join(newFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    checkOutput(pipe); // does not wait for a reader
    const reader = spawn('cat', [pipe]);
    let read = '';
    reader.stdout.on('data', (data) => {
      read += data;
    });
    const ended = new Promise((resolve) => reader.on('close', resolve));
    await writeOutput(pipe, 'through the pipe');
    await ended;
    expect(read).toBe('through the pipe');
    expect(lstatSync(pipe).isFIFO()).toBe(true);
  });

  it.skipIf(process.platform === 'win32')('goes to a device, which stays one', async () => {
    const before = lstatSync('/dev/null');
    checkOutput('/dev/null');
    await writeOutput('/dev/null', 'nothing');
    expect(lstatSync('/dev/null')).toMatchObject({ ino: before.ino, rdev: before.rdev });
  });

  it.skipIf(process.platform !== 'linux')(
    'goes where standard output stands, behind what was written there',
    () => {
      const folder = newFolder();
      const script = join(folder, 'write.mjs');
      const files = JSON.stringify(resolve('src/common/files.ts'));
      writeFileSync(
        join(folder, 'entry.ts'),
        `import { checkOutput, writeOutput } from ${files};
       checkOutput(process.argv[2]!);
       await writeOutput(process.argv[2]!, 'mine\\n');`,
      );
      buildSync({
        entryPoints: [join(folder, 'entry.ts')],
        outfile: script,
        absWorkingDir: process.cwd(),
        bundle: true,
        format: 'esm',
        platform: 'node',
        logLevel: 'error',
      });
      // A file, not opened for appending: what comes after would be written over what stood at its end only.
      const command = (path: string) =>
        `echo before; "${process.execPath}" "${script}" ${path} 3>&1; echo after`;
      for (const path of ['/dev/stdout', '-', '/dev/fd/3', '/proc/self/fd/1', '/dev/stderr']) {
        const out = join(folder, 'out.txt');
        execFileSync('sh', ['-c', `{ ${command(path)}; } > "${out}" 2>&1`]);
        expect(readFileSync(out, 'utf8'), path).toBe('before\nmine\nafter\n');
      }
    },
  );

  it.each([
    ['a folder', (at: string) => at, /is a folder/],
    ['a name that ends as a folder', (at: string) => join(at, 'new/'), /is a folder/],
    ['below a file', (at: string) => join(at, 'file', 'below', 'out'), /file is a file, not a folder/],
    ['too long', (at: string) => join(at, 'x'.repeat(256)), /name is too long/],
    ['below /proc', () => '/proc/nothing/here', /cannot be created|permission denied/],
  ])('is refused in one line before the work: %s', async (_, pathIn, message) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), '');
    const path = pathIn(folder);
    expect(() => checkOutput(path)).toThrow(
      expect.objectContaining({ name: 'UserError', message: expect.stringMatching(message) }),
    );
    await expect(writeOutput(path, 'x')).rejects.toMatchObject({ name: 'UserError' });
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('is checked without leaving anything', () => {
    const path = join(newFolder(), 'new', 'out.txt');
    checkOutput(path);
    expect(readdirSync(join(path, '..'))).toEqual([]);
    writeFileSync(path, 'old');
    checkOutput(path);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it('says so where the disk is full, and the older file stays', async () => {
    const path = join(newFolder(), 'out.txt');
    await writeOutput(path, 'old');
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
    const release = guardDisk(({ kind }) => {
      if (kind === 'write') throw new TornWrite(1, full);
    });
    try {
      await expect(writeOutput(path, 'newer')).rejects.toMatchObject({
        name: 'UserError',
        message: expect.stringMatching(/no space left on the disk/),
      });
    } finally {
      release();
    }
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(join(path, '..'))).toEqual(['out.txt']);
  });
});

describe('a temporary file', () => {
  /** Of a process that has ended, and whose number may be anybody's by now. */
  const gone = () => {
    const pid = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));
    return `.clip-agiqa-${identityText({ ...ownIdentity(), pid, started: 1 })}-0.tmp`;
  };

  it('of a process that has gone is cleared away at the next start, another is not', () => {
    const folder = newFolder();
    const elsewhere = { ...ownIdentity(), machine: '0123abcd' };
    const kept = [
      temporaryName(),
      `.clip-agiqa-${identityText(elsewhere)}-0.tmp`,
      'mine.tmp',
      '.clip-agiqa-mine.tmp',
    ];
    for (const name of [gone(), ...kept]) writeFileSync(join(folder, name), 'x');
    prepareFolder(folder);
    expect(readdirSync(folder).sort()).toEqual(kept.sort());
    writeFileSync(join(folder, gone()), 'x');
    checkOutput(join(folder, 'out'));
    expect(readdirSync(folder).sort()).toEqual(kept.sort());
  });

  it('of before a reboot is nobody’s', () => {
    expect(stateOf(ownIdentity())).toBe('running');
    expect(stateOf({ ...ownIdentity(), boot: '0123abcd' })).toBe('gone');
    expect(stateOf({ ...ownIdentity(), machine: '0123abcd' })).toBe('unknown');
    expect(stateOf({ ...ownIdentity(), started: ownIdentity().started + 1 })).toBe(
      ownIdentity().started === 0 ? 'running' : 'gone',
    );
    expect(parseIdentity(identityText(ownIdentity()))).toEqual(ownIdentity());
    expect(parseIdentity('mine')).toBeUndefined();
  });
});

it('a folder for results is refused in one line where there can be none', () => {
  const file = join(newFolder(), 'file');
  writeFileSync(file, '');
  expect(() => prepareFolder(file)).toThrow(/a file with that name already exists/);
  expect(() => prepareFolder(join(file, 'below'))).toThrow(/is a file, not a folder/);
  expect(existsSync(join(file, 'below'))).toBe(false);
});
