// Bundles every entry point src/NAME.ts into dist/NAME.js, and the picture thread beside them. WGSL is inlined as text; npm packages stay external.
import { readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
const entryPoints = readdirSync('src').filter((f) => f.endsWith('.ts') && !f.endsWith('.d.ts'));
await build({
  entryPoints: [
    ...entryPoints.map((f) => ({ in: `src/${f}`, out: f.replace(/\.ts$/, '') })),
    { in: 'src/data/picture-worker.ts', out: 'picture-worker' },
  ],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: true,
  loader: { '.wgsl': 'text' },
  logLevel: 'warning',
});
