import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';
import { trainTinyRun } from './trained-run.ts';

// A project of somebody else that has this one among its dependencies: the tarball that npm would publish, unpacked, beside
// links to what package.json says it depends on, and nothing else that a clone has.
const consumer = temporaryFolder('consumer');
const installed = join(consumer, 'node_modules', 'clip-agiqa-webgpu');
const tsc = resolve('node_modules/typescript/bin/tsc');
const readme = readFileSync('README.md', 'utf8');
let packed: string[];

beforeAll(async () => {
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.declarations.json']);
  execFileSync(process.execPath, ['scripts/declaration-entries.mjs']);
  packed = pack();
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const name of Object.keys(dependencies)) {
    const link = join(consumer, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve('node_modules', name), link, 'junction');
  }
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module' }));
  const images = join(consumer, 'images');
  await trainTinyRun(images, join(consumer, 'output', 'my-run'));
  copyFileSync(
    join(images, readdirSync(images).find((name) => name.endsWith('.png'))!),
    join(consumer, 'image.png'),
  );
});

/** Compiles a file of the consumer under its strictest settings, the library's declarations included. */
function compile(file: string, module = 'nodenext', moduleResolution = module) {
  const strictest = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] };
  const options = { ...strictest, module, moduleResolution, target: 'es2023', lib: ['es2023'] };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: [file] }));
  return spawnSync(process.execPath, [tsc, '-p', consumer], { encoding: 'utf8' });
}

/** Packs what npm would publish, unpacks it in the consumer, and gives its files. */
function pack(): string[] {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const out = execFileSync(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename, files }] = JSON.parse(out);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(consumer, filename), '-C', installed, '--strip-components=1']);
  return files.map(({ path }: { path: string }) => path);
}

/** Runs a program of the consumer's. */
const node = (...args: string[]) =>
  spawnSync(process.execPath, args, { cwd: consumer, encoding: 'utf8', timeout: 60_000 });

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
      'dist/browser.js',
      'dist/types/browser-library.d.ts',
      'docs/engine.md',
      'models/small-clip.safetensors',
      'models/small-clip-quality.safetensors',
      'package.json',
    ])
      expect(packed).toContain(path);
    expect(
      packed.filter((path) => /^(src|test|bench|shaders|scripts|node_modules|docs\/api)\//.test(path)).sort(),
    ).toEqual([
      'scripts/apt-backports.mjs',
      'scripts/nvidia-vulkan.mjs',
      'scripts/probe-adapter.mjs',
      'scripts/setup.mjs',
    ]);
    // Node reads none, and bundlers of pages warn of a missing one.
    expect(packed.filter((path) => path.endsWith('.map'))).toEqual(['dist/browser.js.map']);
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
    const run = node('score.js');
    expect(run).toMatchObject({ status: 0, signal: null });
    expect(run.stdout).toMatch(/index: 0, path: 'image.png', score: -?\d+\.\d+/);
  });

  it('runs the programs of docs/library.md', () => {
    const page = readFileSync('docs/library.md', 'utf8');
    const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!);
    expect(blocks).toHaveLength(8);
    const outputs = blocks.map((code, i) => {
      // What a client of the server sees, which then ends.
      const client = `server.on('listening', async () => {
        const { readFile } = await import('node:fs/promises');
        for (const body of [await readFile('image.png'), 'no image']) {
          const answer = await fetch('http://127.0.0.1:' + server.address().port, { method: 'POST', body });
          console.log(answer.status, await answer.text());
        }
        server.close();
        await scorer.close();
      });`;
      const program = code.includes('createServer')
        ? code.replace('server.listen(8080)', `${client}\nserver.listen(0)`)
        : code;
      writeFileSync(join(consumer, `page-${i}.js`), program);
      const run = node(`page-${i}.js`);
      expect(run, run.stderr).toMatchObject({ status: 0, signal: null });
      return run.stdout;
    });
    expect(outputs[0]).toMatch(
      /^200 .*"path":"upload","score":\d.*\n400 .*"error":"upload: not a readable image/,
    );
    const lines = outputs[1]!.trim().split('\n');
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) expect(line).toMatch(/(^|\.png )-?\d+\.\d+$/);
    expect(outputs[2]!.match(/\{\s+path: 'images\/[^']*\.png',\s+cosine: -?[\d.e-]+\s+\}/g)).toHaveLength(3);
    expect(outputs[3]!.trim().split('\n')).toEqual([
      ...[1, 2, 3].map((epoch) => expect.stringMatching(`^${epoch} \\d+\\.\\d+ -?\\d[.\\d]*$`)),
      expect.stringMatching(/^output.mine.model\.safetensors -?\d/),
    ]);
    expect(outputs[4]).toMatch(/n: 4,[\s\S]*\[ -?[\d.]+, -?[\d.]+ \] 4 \[\]\n$/);
    expect(outputs[5]).toContain('difference');
    expect(outputs[6]).toContain('[ 1, 3, 224, 224 ]');
    expect(outputs[7]).toMatch(/^-?\d+\.\d+ 14 \d/);
  });

  it('is reached by require, too', () => {
    writeFileSync(
      join(consumer, 'score.cjs'),
      `const { openGpu, Scorer } = require('clip-agiqa-webgpu');
      (async () => {
        const scorer = await Scorer.load(await openGpu(), 'output/my-run');
        for await (const result of scorer.score(['image.png'])) console.log(result);
        const image = require('node:fs').readFileSync('image.png');
        for await (const result of scorer.score([image])) console.log(result);
      })();`,
    );
    const { stdout } = node('score.cjs');
    expect(stdout).toMatch(/index: 0, path: 'image.png', score: -?\d+\.\d+/);
    const scores = [...stdout.matchAll(/score: (\S+)/g)].map(([, score]) => score);
    expect(scores).toEqual([scores[0], scores[0]]);
    writeFileSync(
      join(consumer, 'typed.cts'),
      "import library = require('clip-agiqa-webgpu');\nexport const open: () => Promise<library.Gpu> = library.openGpu;\n",
    );
    expect(compile('typed.cts')).toMatchObject({ status: 0, stdout: '' });
  });

  it('types what a program gives and gets', () => {
    writeFileSync(
      join(consumer, 'typed.ts'),
      `import { ClipEncoder, type Dataset, evaluateModel, type Gpu, type ImageInput, openDataset, Scorer, train } from 'clip-agiqa-webgpu';
      export async function all(gpu: Gpu, inputs: ImageInput[], signal: AbortSignal): Promise<number> {
        const encoder = await ClipEncoder.load(gpu, 'embedded', { text: false, cache: 'features' });
        for await (const result of encoder.encodeImages(inputs, { normalize: true }))
          if ('feature' in result) { const feature: Float32Array = result.feature; feature.fill(0); }
        // @ts-expect-error texts are an array
        await encoder.encodeTexts('a cat');
        // @ts-expect-error there is no such setting
        await train(gpu, { epoch: 3 });
        const { model, summary } = await train(gpu, { data: 'csv', trainer: 'image-only' }, { signal, onEpoch: ({ loss }) => console.log(loss.toFixed(3)) });
        const dataset: Dataset = await openDataset({ name: 'csv', csv: 'scores.csv', root: summary.folder });
        const { evaluation, rows } = await evaluateModel(await Scorer.load(gpu, model), dataset, { part: 'test', signal });
        return evaluation.overall.srcc + rows[0]!.prediction;
      }
      declare const console: { log(text: string): void };\n`,
    );
    expect(compile('typed.ts')).toMatchObject({ status: 0, stdout: '' });
  });

  it('has one program for all commands, which help and messages call as it was called', () => {
    const program = join(installed, 'dist', 'clip-agiqa-webgpu.js');
    const listed = node(program, '--help').stdout;
    const commands = readdirSync('src/commands').map((name) => name.replace(/\.ts$/, ''));
    for (const name of commands) expect(listed).toMatch(new RegExp(`^  ${name} {2,}\\S`, 'm'));
    expect(node(program, '--version').stdout.trim()).toBe(node(program, 'score', '-V').stdout.trim());
    const help = node(program, 'score', '--help').stdout;
    expect(help).toMatch(/^Usage: clip-agiqa-webgpu score /);
    expect(help).toContain('\n  clip-agiqa-webgpu score ');
    expect(help).not.toContain('node dist/');
    const wrong = node(program, 'scor');
    expect([wrong.status, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(/unknown command 'scor'\n.*score/),
    ]);
    const scored = node(program, 'score', 'image.png', '--model', 'output/my-run', '--csv', '-');
    expect(scored.stdout).toMatch(/^image\.png,-?\d/m);
    const report = node(program, 'report', 'output/my-run');
    expect(report).toMatchObject({ status: 0, stdout: expect.stringContaining('report.html') });
    expect(node(program, 'setup', '--check')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^setup: adapter /),
    });
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
    const index = ['index', 'engine', 'browser']
      .map((name) => readFileSync(`src/${name}.ts`, 'utf8'))
      .join('\n');
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
