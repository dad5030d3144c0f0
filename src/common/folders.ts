import { builtin, environmentVariable } from './environment.ts';

/**
 * A path in this program's folder of the user's cache: tuned kernel choices, encoded features. XDG_CACHE_HOME is honored. Only in
 * Node; the modules are not imported, so that the kernels can name the file of their choices and still load in a browser.
 */
export function cacheFile(...names: readonly string[]): string {
  const { join } = builtin('node:path')!;
  const folder = environmentVariable('XDG_CACHE_HOME') ?? join(builtin('node:os')!.homedir(), '.cache');
  return join(folder, 'clip-agiqa-webgpu', ...names);
}
