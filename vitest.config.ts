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
