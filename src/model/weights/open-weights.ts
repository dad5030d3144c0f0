import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readTextSync } from '../../common/read-file.ts';
import { openTensorFile } from '../../data/formats/tensor-file.ts';
import type { Siblings } from './config-hints.ts';
import { weightsPath } from './embedded.ts';
import { openSpecFile } from './spec-file.ts';
import { type ClipWeights, mapWeights, type OpenWeightsOptions } from './weights.ts';

/**
 * Opens the weights of a CLIP (OpenAI's, open_clip's or Hugging Face's names) or of a plain vision transformer (timm's
 * names), in any format `openTensorFile` knows, or a specification (`.json`) to be computed; `embedded` is the small CLIP that comes with the package. All names and shapes are checked before a value is read; a missing,
 * misshapen or unplaceable tensor is a `UserError` that names it.
 */
export async function openClipWeights(given: string, options: OpenWeightsOptions = {}): Promise<ClipWeights> {
  const path = weightsPath(given);
  const source = await (path.endsWith('.json') ? openSpecFile(path) : openTensorFile(path));
  try {
    return mapWeights(source, options, siblingsOf(path));
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The files in the weights' folder, or beside their file. */
function siblingsOf(path: string): Siblings {
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  return (name) => {
    const file = join(folder, name);
    return existsSync(file) ? { path: file, text: readTextSync(file, 'jsonBytes') } : undefined;
  };
}
