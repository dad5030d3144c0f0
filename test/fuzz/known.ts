import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What those who write cases and those who read them both know. */

/** The project's folder, from this file or from the program built of it. */
export const projectFolder = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/** A CLIP in a few kilobytes, and the width of its image features. */
export const tinyWeights = join(projectFolder, 'test/fixtures/tiny-clip.json');
export const tinyFeature = 32;

/** What a feature cache holds. */
export const cachedWidth = 5;
export const cachedKeys = ['an image', 'another', 'a third'];
export const cachedVector = (i: number): Float32Array =>
  Float32Array.from({ length: cachedWidth }, (_, at) => i + at / 8);
