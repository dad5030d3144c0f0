import { build } from 'esbuild';
import { inBrowser } from '../../scripts/browser-bundles.mjs';

/** A page with nothing but test/web/lab.ts in it. */
export async function labPage(): Promise<(path: string) => { type: string; body: string } | undefined> {
  const { outputFiles } = await build({ ...inBrowser, entryPoints: ['test/web/lab.ts'], write: false });
  const files: Readonly<Record<string, { type: string; body: string }>> = {
    '/lab': {
      type: 'text/html',
      body: '<!doctype html><link rel="icon" href="data:,"><script type="module" src="lab.js"></script>',
    },
    '/lab.js': { type: 'text/javascript', body: outputFiles![0]!.text },
  };
  return (path) => files[path];
}
