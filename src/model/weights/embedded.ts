import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The model that comes with the project, below its root. */
const file = join('models', 'small-clip.safetensors');

/** What `--weights embedded` stands for: the file in the package, found from the source as from the bundle. */
export function weightsPath(weights: string): string {
  if (weights !== 'embedded') return weights;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, file)) && dirname(folder) !== folder) folder = dirname(folder);
  return join(folder, file);
}
