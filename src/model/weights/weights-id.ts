import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { openRegular, unreadable } from '../../common/read-file.ts';

/** SHA-256 of a weight file's bytes, or of a folder's weight files: names features in caches and checkpoints. */
export async function weightsId(path: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await filesOf(path)) await readInto(file, (chunk) => hash.update(chunk));
  return hash.digest('hex');
}

async function readInto(path: string, use: (chunk: Buffer) => void): Promise<void> {
  const { handle } = await openRegular(path);
  try {
    for await (const chunk of handle.createReadStream()) use(chunk);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    await handle.close();
  }
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new UserError(`${path}: no such file or folder`, 'Check --weights.');
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.(safetensors|bin|pt|json)$/.test(name));
  return names.sort().map((name) => join(path, name));
}
