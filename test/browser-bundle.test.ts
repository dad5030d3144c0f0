import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { browserLibrary } from '../scripts/browser-bundles.mjs';

/** A bundle as `npm run build` makes it, of these lines in place of src/browser.ts; an import that a browser has not fails it. */
async function bundled(lines: string): Promise<string> {
  const { entryPoints: _, ...options } = browserLibrary;
  const { outputFiles } = await build({
    ...options,
    sourcemap: false,
    write: false,
    stdin: { contents: lines, resolveDir: 'src' },
  });
  return outputFiles![0]!.text;
}

const kilobytes = (text: string) => gzipSync(text, { level: 9 }).length / 1000;

it('the engine takes less than 60 kB of a page, gzipped, and a page may take no more of it than it uses', async () => {
  const engine = "export * from './engine.ts'; export { openGpu } from './kernels/browser/open-gpu.ts';";
  expect(kilobytes(await bundled(engine))).toBeLessThan(60);
  expect(
    kilobytes(await bundled("export { plcc, srcc } from './data/metrics/correlation.ts';")),
  ).toBeLessThan(2);
});

it('shaders in it have their code and what the engine reads of their headers, on the lines of the source', async () => {
  const text = await bundled("export { default } from '../shaders/softmax.wgsl';");
  const { default: shader } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  const source = (await import('../shaders/softmax.wgsl')).default;
  const code = (wgsl: string) =>
    wgsl
      .split('\n')
      .map((line) => line.replace(/\s*\/\/(?!@(?!budget)).*$/, '').trimStart())
      .map((line) => (line.startsWith('//@') ? line : line.replace(/(?<=,) | (?=\{$)/g, '')));
  expect(code(shader)).toEqual(code(source));
  expect(shader).toContain('//@work ');
  expect(shader).not.toMatch(/\/\/(?!@)|@budget/);
});
