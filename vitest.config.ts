import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

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
    // The software adapter already uses every core, so files run one after another in one worker,
    // which also lets them share the device and its compiled pipelines.
    pool: 'forks',
    maxWorkers: 1,
    isolate: false,
    // Generous: the first run compiles every pipeline, and performance is measured in bench/, not here.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
