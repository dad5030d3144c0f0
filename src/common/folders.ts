import { homedir } from 'node:os';
import { join } from 'node:path';
import { environmentVariable } from './environment.ts';

/** A path in this program's folder of the user's cache: tuned kernel choices, encoded features. XDG_CACHE_HOME is honored. */
export function cacheFile(...names: readonly string[]): string {
  const folder = environmentVariable('XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  return join(folder, 'clip-agiqa-webgpu', ...names);
}
