import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCsv } from '../src/data/formats/csv.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { runBuilt } from './built-command.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyTensors } from './tiny-clip.ts';

// score and encode as people run them.
const folder = temporaryFolder('image-commands');
const place = (name: string) => join(folder, name);
const weights = resolve('test/fixtures/tiny-clip.json');
let images: string[];
let model: string;

beforeAll(async () => {
  images = await drawImages(place('images'), 3);
  model = await writeModel(place('model.safetensors'), weights);
});

const run = (name: 'score' | 'encode', ...args: string[]) => runBuilt(name, args);
const score = (...args: string[]) => run('score', ...args, '--model', model);
const posix = it.skipIf(process.platform === 'win32');

describe('score --csv', () => {
  posix(
    'writes to a pipe, a device and standard output as they are, and follows a symbolic link',
    async () => {
      execFileSync('mkfifo', [place('pipe')]);
      const reader = spawn('cat', [place('pipe')]);
      let read = '';
      reader.stdout.on('data', (data) => (read += data));
      const ended = new Promise((done) => reader.on('close', done));
      expect(score(...images, '--csv', place('pipe')).status).toBe(0);
      await ended;
      expect(read.trim().split('\n')).toHaveLength(1 + 3);
      expect(lstatSync(place('pipe')).isFIFO()).toBe(true);

      // Behind a shell's pipe, where it may be opened by its name.
      const command = `"${process.execPath}" dist/score.js "${images[0]}" --model "${model}" --csv /dev/stdout | cat`;
      expect(
        execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      ).toBe(read.split('\n').slice(0, 2).concat('').join('\n'));
      expect(score(images[0]!, '--csv', '/dev/null').status).toBe(0);
      expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);

      writeFileSync(place('real.csv'), 'old');
      symlinkSync('real.csv', place('link.csv'));
      expect(score(...images, '--csv', place('link.csv')).status).toBe(0);
      expect(readFileSync(place('real.csv'), 'utf8')).toBe(read);
      expect(lstatSync(place('link.csv')).isSymbolicLink()).toBe(true);
    },
  );

  it('is refused in one line, before the model is opened, where it cannot be written', () => {
    mkdirSync(place('a folder'));
    writeFileSync(place('a file'), '');
    const cases = [
      [place('a folder'), /^error: .*a folder: is a folder/],
      [join(place('a file'), 'x.csv'), /^error: .*a file is a file, not a folder/],
      [place('x'.repeat(300)), /^error: .*the name is too long/],
    ] as const;
    for (const [csv, message] of cases) {
      const { status, stderr } = run('score', ...images, '--model', 'no such model', '--csv', csv);
      expect(status).toBe(1);
      expect(stderr).toMatch(message);
      expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
    }
    expect(score(...images, '--csv', '-', '--json').stderr).toMatch(/both print to stdout/);
  });

  it('guards names that a spreadsheet would run, and shows escape sequences of names escaped', async () => {
    const named = place('names');
    mkdirSync(named);
    const names = ['=cmd.png', '@sum.png', '\x1b[2J\r.png', 'new\nline.png'].slice(
      0,
      process.platform === 'win32' ? 2 : 4,
    );
    for (const name of names) writeFileSync(join(named, name), readFileSync(images[0]!));
    writeFileSync(join(named, 'bad\x1b]0;x\x07.png'), 'no image');
    const args = names.map((name) => join('.', name));
    const given = [...args, 'bad\x1b]0;x\x07.png', '--model', model, '--csv', 'out.csv'];
    expect(runBuilt('score', given, { cwd: named }).status).toBe(0);
    expect(readFileSync(join(named, 'out.csv'), 'utf8')).toMatch(/^'=cmd\.png,[\d.e-]+,$/m);
    const { rows } = await readCsv(join(named, 'out.csv'));
    expect(rows.map(({ fields }) => fields.path)).toEqual([...args, 'bad\x1b]0;x\x07.png']);
    const table = score(named);
    expect(table.status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(table.stdout + table.stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    expect(table.stderr).toMatch(/^skipped +.*bad\\x1b\]0;x\\x07\.png: not a readable image/m);
    expect(table.stdout).toContain('new\\nline.png');
    const json = score(named, '--json').stdout.trim().split('\n');
    expect(json.map((line) => JSON.parse(line).path)).toContain(join(named, '\x1b[2J\r.png'));
  });

  posix('gives a row with its reason to what is no file, and waits for nothing', () => {
    const odd = place('odd');
    mkdirSync(odd);
    execFileSync('mkfifo', [join(odd, 'a pipe.png')]);
    symlinkSync('/dev/zero', join(odd, 'endless.png'));
    symlinkSync('..', join(odd, 'loop'));
    writeFileSync(join(odd, 'good.png'), readFileSync(images[0]!));
    const rows = score(odd, '--json')
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.map(({ path, error }) => [path.slice(odd.length + 1), error?.split(': ')[1]])).toEqual([
      ['a pipe.png', 'is not a regular file'],
      ['endless.png', 'is not a regular file'],
      ['good.png', undefined],
    ]);
  });
});

describe('encode', () => {
  const encode = (tensors: string, ...args: string[]) =>
    run(
      'encode',
      '--weights',
      weights,
      '--tensors',
      tensors,
      '--out',
      place('features.safetensors'),
      ...args,
    );
  const contextLength = 77;

  async function tokensOf(...rows: number[][]): Promise<string> {
    const path = place('tokens.safetensors');
    const data = Int32Array.from(
      rows.flatMap((row) => [...row, ...Array(contextLength - row.length).fill(0)]),
    );
    await writeSafetensors(path, { tokens: { dtype: 'I32', shape: [rows.length, contextLength], data } });
    return path;
  }

  it('holds token ids to the vocabulary, and tensors to rows and finite numbers', async () => {
    const id = 50_000;
    expect(encode(await tokensOf([1, 2, 3], [1, id, 3])).stderr).toMatch(
      new RegExp(
        `^error: .*tokens\\.safetensors: token ${id} at position 1 of row 1 is not in the vocabulary of 49408$`,
        'm',
      ),
    );
    expect(encode(await tokensOf()).stderr).toMatch(/^error: .*tokens has no rows$/m);
    const shape = [2, 3, 64, 64];
    const images = new Float32Array(2 * 3 * 64 * 64);
    images[3 * 64 * 64 + 5] = Number.NaN;
    await writeSafetensors(place('images.safetensors'), { images: { dtype: 'F32', shape, data: images } });
    expect(encode(place('images.safetensors')).stderr).toMatch(
      /^error: .*tensor images holds NaN at \[1, 0, 0, 5\]$/m,
    );
    expect(readdirSync(folder)).not.toContain('features.safetensors');
  });

  it('refuses to tokenize for weights of another vocabulary', async () => {
    await writeSafetensors(place('small.safetensors'), tinyTensors());
    const args = ['--weights', place('small.safetensors'), '--text', 'a cat'];
    expect(run('encode', ...args, '--out', place('x.safetensors')).stderr).toMatch(
      /^error: these weights have a vocabulary of 11 tokens, CLIP's tokenizer has 49,408$/m,
    );
  });

  it('writes to standard output, and refuses what cannot be written before the work', async () => {
    const child = spawnSync(process.execPath, [
      ...['dist/encode.js', '--weights', weights, '--image', ...images, '--text', 'a', '--out', '-'],
    ]);
    expect(child.status).toBe(0);
    writeFileSync(place('piped.safetensors'), child.stdout);
    const file = await openTensorFile(place('piped.safetensors'));
    expect(file.tensors.get('image_features')!.shape[0]).toBe(3);
    expect(JSON.parse(file.metadata.images!)).toEqual(images);
    await file.close();
    mkdirSync(place('taken'));
    const refused = run('encode', '--weights', 'missing.pt', '--image', ...images, '--out', place('taken'));
    expect(refused.stderr).toMatch(/^error: .*taken: is a folder/);
  });

  it('leaves on Ctrl-C what is encoded so far, and says how much', async () => {
    const many = place('many');
    const out = place('stopped.safetensors');
    mkdirSync(many);
    const paths = Array.from({ length: 800 }, (_, k) => join(many, `${1000 + k}.png`));
    for (const path of paths) copyFileSync(images[0]!, path);
    writeFileSync(paths[9]!, 'no image: it is told when it is reached');
    const args = ['dist/encode.js', '--weights', weights, '--image', many, '--out', out];
    const child = spawn(process.execPath, args);
    let stderr = '';
    child.stderr.on('data', (data) => {
      stderr += data;
      if (stderr.includes('skipped') && !child.killed) child.kill('SIGINT');
    });
    expect(await new Promise((done) => child.on('close', done))).toBe(130);
    const [, reached] = /^stopped +(\d+) of 800 images encoded, written to .*$/m.exec(stderr)!;
    expect(Number(reached)).toBeGreaterThan(9);
    expect(Number(reached)).toBeLessThan(800);
    const file = await openTensorFile(out);
    expect(file.tensors.get('image_features')!.shape[0]).toBe(Number(reached) - 1);
    expect(JSON.parse(file.metadata.images!)).toEqual(
      paths.slice(0, Number(reached)).filter((_, k) => k !== 9),
    );
    expect(file.metadata.stopped).toBe(`${reached} of 800 images encoded`);
    await file.close();
  });
});
