import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainTinyRun } from './trained-run.ts';

// A project of somebody else that has this one among its dependencies.
const consumer = mkdtempSync(join(tmpdir(), 'consumer-'));
const tsc = resolve('node_modules/typescript/bin/tsc');
const readme = readFileSync('README.md', 'utf8');
let packed: string[];

beforeAll(async () => {
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.declarations.json']);
  execFileSync(process.execPath, ['scripts/declaration-entries.mjs']);
  packed = packedFiles();
  mkdirSync(join(consumer, 'node_modules'));
  symlinkSync(resolve('.'), join(consumer, 'node_modules', 'clip-agiqa-webgpu'), 'junction');
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module' }));
  const images = join(consumer, 'images');
  await trainTinyRun(images, join(consumer, 'output', 'my-run'));
  copyFileSync(
    join(images, readdirSync(images).find((name) => name.endsWith('.png'))!),
    join(consumer, 'image.png'),
  );
});
afterAll(() => rmSync(consumer, { recursive: true }));

/** Compiles a file of the consumer under its strictest settings, the library's declarations included. */
function compile(file: string, module = 'nodenext', moduleResolution = module) {
  const strictest = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] };
  const options = { ...strictest, module, moduleResolution, target: 'es2023', lib: ['es2023'] };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: [file] }));
  return spawnSync(process.execPath, [tsc, '-p', consumer], { encoding: 'utf8' });
}

/** The files that npm would publish. */
function packedFiles(): string[] {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const out = execFileSync(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(out)[0].files.map(({ path }: { path: string }) => path);
}

/** Whether a declaration file has a docstring before an export, or the file that it passes on from. */
function isDocumented(name: string, file: string): boolean {
  const text = readFileSync(file, 'utf8');
  if (new RegExp(`\\*/\nexport (?:declare )?(?:abstract )?[a-z]+ ${name}\\b`).test(text)) return true;
  const from = new RegExp(`^export (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\} from '(.*)\\.[jt]s';$`, 'm').exec(
    text,
  );
  return from !== null && isDocumented(name, posix.join(posix.dirname(file), `${from[1]}.d.ts`));
}

/** The anchors of a Markdown page's headings, as GitHub and npm make them. */
function anchorsOf(page: string): string[] {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase());
  return headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

describe('the package', () => {
  it('holds the library, its declarations, the commands and what they read, and no sources or tests', () => {
    for (const path of [
      'LICENSE',
      'README.md',
      'configs/vit_b16.yaml',
      'dist/index.js',
      'dist/image-worker.js',
      'dist/train.js',
      'dist/types/index.d.ts',
      'dist/types/library.d.ts',
      'dist/types/library-5.d.ts',
      'docs/engine.md',
      'models/small-clip.safetensors',
      'package.json',
    ])
      expect(packed).toContain(path);
    expect(
      packed.filter((path) => /^(src|test|bench|shaders|scripts|node_modules|docs\/api)\//.test(path)),
    ).toEqual([]);
  });

  it('holds every file and heading its documents link to', () => {
    const pages = packed.filter((path) => path.endsWith('.md'));
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/engine.md']));
    const dangling = pages.flatMap((page) => {
      const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
      const links = [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => link!);
      return links
        .filter((link) => {
          const [path, anchor] = link.split('#') as [string, string?];
          const target = path === '' ? page : posix.join(posix.dirname(page), path);
          const found =
            packed.includes(target) && (!anchor || anchorsOf(readFileSync(target, 'utf8')).includes(anchor));
          return !found;
        })
        .map((link) => `${page}: ${link}`);
    });
    expect(dangling).toEqual([]);
  });

  it('scores an image in the three lines of the README, typed, and the process ends by itself', () => {
    const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
    const lines = blocks.find((code) => code.includes('Scorer.load'));
    expect(lines!.trim().split('\n')).toHaveLength(3);
    writeFileSync(join(consumer, 'score.ts'), lines!);
    expect(compile('score.ts', 'esnext', 'bundler')).toMatchObject({ status: 0, stdout: '' });
    expect(compile('score.ts', 'node16')).toMatchObject({ status: 0, stdout: '' });
    expect(compile('score.ts')).toMatchObject({ status: 0, stdout: '' });
    const run = spawnSync(process.execPath, ['score.js'], {
      cwd: consumer,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(run).toMatchObject({ status: 0, signal: null });
    expect(run.stdout).toMatch(/index: 0, path: 'image.png', score: -?\d+\.\d+/);
  });

  it('is typed: a wrong call does not compile', () => {
    writeFileSync(
      join(consumer, 'wrong.ts'),
      "import { openGpu, Tensor } from 'clip-agiqa-webgpu';\nTensor.from(await openGpu(), [1, 2], 'two');\n",
    );
    const { status, stdout } = compile('wrong.ts');
    expect(status).not.toBe(0);
    expect(stdout).toMatch(/wrong\.ts\(2,\d+\): error TS2345/);
  });

  it('has a docstring in its declarations for everything it exports: what editors show, and npm run docs makes docs/api of', () => {
    const index = readFileSync('src/index.ts', 'utf8');
    const exported = [...index.matchAll(/^export (?:type )?\{([^}]*)\} from '\.\/(.*)\.ts';$/gm)].flatMap(
      ([, list, module]) =>
        list!
          .split(',')
          .map((name) => ({ name: name.replace(/^\s*(type\s)?\s*/, '').trim(), module: module! }))
          .filter(({ name }) => name !== ''),
    );
    expect(exported.length).toBeGreaterThan(60);
    const undocumented = exported.filter(
      ({ name, module }) => !isDocumented(name, `dist/types/${module}.d.ts`),
    );
    expect(undocumented).toEqual([]);
  });
});
