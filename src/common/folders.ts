import { homedir } from 'node:os';
import { join } from 'node:path';

/** This program's folder in the user's cache: tuned kernel choices, encoded features. XDG_CACHE_HOME is honored. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'clip-agiqa-webgpu');
}
