import { readFileSync } from 'node:fs';
import { configDefaults, defineConfig } from 'vitest/config';
import { dawnRemarks } from './src/cli/dawn-remarks.ts';

// Workers open adapters without the commands' own filter; what they write to stderr passes here.
const write = process.stderr.write.bind(process.stderr) as (...args: unknown[]) => boolean;
process.stderr.write = (chunk: Uint8Array | string, ...rest: unknown[]) => {
  const lines = (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()).split(/(?<=\n)/);
  return write(lines.filter((line) => !dawnRemarks.test(line)).join(''), ...rest);
};

/**
 * What takes a minute and more runs where it is named: every documented command line (.ci/run), and the compiling of kernels to
 * measure them (scripts/test-adapters.mjs).
 */
const slow = ['documented-examples', 'run-tuning'].filter(
  (name) => !process.argv.some((word) => word.includes(name)),
);

/** What runs in a browser, on its own slow adapter: `npm run test:web`. */
const inPages = process.argv.some((word) => word.includes('test/web')) ? [] : ['test/web/**'];

export default defineConfig({
  plugins: [
    {
      name: 'wgsl-as-text',
      enforce: 'pre',
      load(id) {
        if (id.endsWith('.wgsl')) return `export default ${JSON.stringify(readFileSync(id, 'utf8'))};`;
      },
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...slow.map((name) => `test/${name}.test.ts`), ...inPages],
    // Two at once: the software adapter uses every core, but what runs commands or waits does not (5.4 min where one after the other
    // takes 9, on two cores). Files of one worker share the device and its compiled pipelines.
    pool: 'forks',
    maxWorkers: 2,
    isolate: false,
    // Generous: the first run compiles every pipeline, and performance is measured in bench/, not here.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
