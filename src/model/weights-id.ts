import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';

/** SHA-256 of a weight file's bytes, or of a folder's weight files: names features in caches and checkpoints. */
export async function weightsId(path: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await filesOf(path))
    for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new UserError(`${path}: there is no such file or folder`, 'Check --weights.');
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.(safetensors|bin|pt|json)$/.test(name));
  return names.sort().map((name) => join(path, name));
}
