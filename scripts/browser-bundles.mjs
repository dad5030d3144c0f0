import { readFileSync } from 'node:fs';

/** WGSL as text without its prose, which is a third of the bundle, and its indentation: lines that the engine itself reads, `//@work …`, stay, and so do line numbers. */
export const bareShaders = {
  name: 'bare-shaders',
  setup(build) {
    build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({
      contents: bare(readFileSync(path, 'utf8')),
      loader: 'text',
    }));
  },
};

const bare = (wgsl) =>
  wgsl
    .replace(/[ \t]*\/\/(?!@(?!budget)).*$/gm, '')
    .replace(/^[ \t]+/gm, '')
    // Spaces that WGSL does not need, but in the lines that the engine reads.
    .replace(/^(?!\/\/@).*$/gm, (line) => line.replaceAll(', ', ',').replace(/ \{$/, '{'));

/** How everything is bundled that runs in a browser. */
export const inBrowser = {
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  loader: { '.wgsl': 'text' },
  logLevel: 'warning',
};

/** The library for pages, src/browser.ts: bundled, without an import of anything. */
export const browserLibrary = {
  ...inBrowser,
  entryPoints: { browser: 'src/browser.ts' },
  plugins: [bareShaders],
  sourcemap: true,
};
