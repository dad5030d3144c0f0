import type { BuildOptions, Plugin } from 'esbuild';

export const bareShaders: Plugin;
export const inBrowser: BuildOptions;
export const browserLibrary: BuildOptions;
