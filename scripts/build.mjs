// Bundles the library src/index.ts (for pages: src/browser.ts) and every command src/commands/NAME.ts into dist/, the image thread and the process that tries images beside them, bench/bench.ts into dist/bench.js, bench/lab/NAME.ts into dist/bench/lab/NAME.js, and what people run of test/ (`tests`). WGSL is inlined as text; npm packages stay external.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { build } from 'esbuild';
import { browserLibrary, inBrowser } from './browser-bundles.mjs';

// What the package depends on stays outside of the bundles. Apache ECharts is a development dependency that goes into them: the
// parts that draw reports are 1.4 MB, the package 62 MB. Their licenses go along.
const { dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

rmSync('dist', { recursive: true, force: true });
const labs = existsSync('bench/lab') ? readdirSync('bench/lab').filter((f) => f.endsWith('.ts')) : [];
const commands = readdirSync('src/commands');
// Tests that people run by themselves, and the process that their cases run in.
const tests = {
  torture: 'test/faults/torture.ts',
  attacks: 'test/attacks/main.ts',
  fuzz: 'test/fuzz/main.ts',
  'fuzz-child': 'test/fuzz/child.ts',
};
await build({
  entryPoints: [
    { in: 'src/index.ts', out: 'index' },
    { in: 'src/cli/main.ts', out: 'clip-agiqa-webgpu' },
    ...commands.map((f) => ({ in: `src/commands/${f}`, out: f.replace(/\.ts$/, '') })),
    ...labs.map((f) => ({ in: `bench/lab/${f}`, out: `bench/lab/${f.replace(/\.ts$/, '')}` })),
    ...(existsSync('bench/bench.ts')
      ? [
          { in: 'bench/bench.ts', out: 'bench' },
          { in: 'bench/kit/main.ts', out: 'kit' },
        ]
      : []),
    ...Object.entries(tests)
      .filter(([, from]) => existsSync(from))
      .map(([out, from]) => ({ in: from, out })),
    { in: 'src/data/images/worker.ts', out: 'image-worker' },
    { in: 'src/scale/decode-probe.ts', out: 'decode-probe' },
  ],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: Object.keys({ ...dependencies, ...peerDependencies }),
  sourcemap: true,
  loader: { '.wgsl': 'text' },
  logLevel: 'warning',
});
await build({ ...browserLibrary, outdir: 'dist' });
// What commands put into the pages they write.
await build({
  ...inBrowser,
  entryPoints: [
    { in: 'src/step/page/main.ts', out: 'step-page' },
    { in: 'src/step/page/style.css', out: 'step-page' },
  ],
  outdir: 'dist',
});
mkdirSync('dist/licenses');
for (const name of ['echarts', 'zrender'])
  copyFileSync(`node_modules/${name}/LICENSE`, `dist/licenses/${name}.txt`);
