import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/** Runs a command to its end, as people run it: `npm test` builds dist/ first. */
export function runBuilt(
  name: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('dist', `${name}.js`), ...args], {
    encoding: 'utf8',
    ...options,
  });
  return { status, stdout, stderr };
}
