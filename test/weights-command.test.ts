import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { canonicalShapes } from '../src/model/config.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { generateValues } from '../src/model/weights/weights-spec.ts';
import { runBuilt } from './built-command.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyConfig, tinyTensors } from './tiny-clip.ts';

const folder = temporaryFolder('weights-command');

const weights = (...args: string[]) => runBuilt('weights', args, { cwd: folder });

beforeAll(() => {
  const tensors = Object.fromEntries(
    [...canonicalShapes(tinyConfig)].map(([name, shape]) => [name, { shape, scale: 0.1, offset: 0 }]),
  );
  writeFileSync(join(folder, 'spec.json'), JSON.stringify({ seed: 1, tensors }));
});

test('generate, describe, convert', async () => {
  expect(weights('--spec', 'spec.json', '--out', 'a.safetensors')).toMatchObject({ status: 0, stderr: '' });
  expect(weights('--spec', 'spec.json', '--out', 'a.pt').stdout).toMatch(/^a\.pt: torchscript, \d+ tensors/);
  const text = weights('--info', 'a.safetensors').stdout;
  expect(text).toMatch(/naming +openai/);
  expect(text).toMatch(/image +12 px, patches of 4 px/);
  expect(text).toMatch(/visual\.conv1\.weight +F32 +\[64, 3, 4, 4\]/);
  const json = JSON.parse(weights('--info', 'a.pt', '--json').stdout);
  expect(json).toMatchObject({ format: 'torchscript', model: { naming: 'openai', config: tinyConfig } });

  expect(weights('--convert', 'a.safetensors', '--out', 'b.safetensors', '--activation', 'gelu').status).toBe(
    0,
  );
  const converted = await openClipWeights(join(folder, 'b.safetensors'));
  expect(converted.config.vision.activation).toBe('gelu');
  const wanted = generateValues('visual.proj', 64 * 8, { seed: 1, scale: 0.1 });
  expect(await converted.read('visual.proj')).toEqual(wanted);
  await converted.close();
});

test('embedded names the weights that come with the package', () => {
  const { status, stdout } = weights('--info', 'embedded');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^file +.*models[/\\]small-clip\.safetensors$/m);
  expect(stdout).toMatch(/^image +224 px, patches of 16 px$/m);
});

test('mistakes are one clear line, status 1, nothing written', () => {
  const fails = (args: string[], message: RegExp) => {
    const { status, stdout, stderr } = weights(...args);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ +at /m);
  };
  writeFileSync(join(folder, 'words.txt'), 'no weights at all');
  const before = readdirSync(folder);
  fails(['--inof', 'a'], /unknown option '--inof'[\s\S]*--info/);
  fails(['--info', 'a', 'b'], /too many arguments/);
  fails([], /exactly one of --info, --convert, --spec and --share/);
  fails(['--info', 'absent'], /^error: absent: cannot be read \(ENOENT\)/);
  fails(['--convert', 'a.safetensors'], /--out is missing/);
  fails(['--convert', 'a.safetensors', '--out', 'x.pt'], /--convert writes safetensors/);
  fails(['--convert', 'a.safetensors', '--out', 'x.safetensors', '--dtype', 'int8'], /float32, float16/);
  fails(['--spec', 'a.pt', '--out', 'x.safetensors'], /a\.pt: is not JSON \(Unexpected token/);
  fails(['--convert', 'words.txt', '--out', 'x.safetensors'], /neither safetensors nor/);
  expect(readdirSync(folder)).toEqual(before);
});

test('--help shows the options and examples', () => {
  const { status, stdout } = weights('--help');
  expect(status).toBe(0);
  expect(stdout).toMatch(/Usage: node dist\/weights\.js/);
  expect(stdout).toMatch(/Examples:\n {2}node dist\/weights\.js --info/);
});

test('--info counts numbers that are not finite, and shows names without their control characters', async () => {
  const tensors = tinyTensors();
  const [first, second] = ['visual.proj', 'ln_final.bias'];
  tensors.get(first)!.data.fill(Number.NaN, 3, 8);
  tensors.get(second)!.data[0] = Number.NEGATIVE_INFINITY;
  await writeSafetensors(join(folder, 'nan.safetensors'), tensors, {
    'note\x1b[2J': 'a\r\x1b]0;title\x07\nb',
  });
  const { status, stdout } = weights('--info', 'nan.safetensors');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^not finite +6 numbers \(NaN or infinite\): \d+ in .*, and 1 more tensors$/m);
  expect(stdout).toMatch(/^metadata note\\x1b\[2J +a\\r\\x1b\]0;title\\x07\\nb$/m);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
  const json = JSON.parse(weights('--info', 'nan.safetensors', '--json').stdout);
  expect(json.nonFinite).toEqual({ [first]: 5, [second]: 1 });
  expect(json.metadata).toEqual({ 'note\x1b[2J': 'a\r\x1b]0;title\x07\nb' });
  expect(weights('--info', 'a.safetensors').stdout).not.toMatch(/not finite/);
});

test('--out is checked before the work, and a symbolic link followed', () => {
  mkdirSync(join(folder, 'taken.safetensors'));
  expect(weights('--convert', 'missing.safetensors', '--out', 'taken.safetensors')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^error: taken\.safetensors: is a folder/),
  });
  writeFileSync(join(folder, 'real.safetensors'), 'old');
  symlinkSync('real.safetensors', join(folder, 'link.safetensors'));
  expect(weights('--convert', 'a.safetensors', '--out', 'link.safetensors').status).toBe(0);
  expect(readFileSync(join(folder, 'real.safetensors'))).toEqual(
    readFileSync(join(folder, 'link.safetensors')),
  );
  expect(readFileSync(join(folder, 'real.safetensors')).length).toBeGreaterThan(1000);
});
