import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { modelPath, weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import type { ScoringSpec } from './open-scoring.ts';
import { isOriginalFolder } from './original-model.ts';
import { modelWeights, readModel } from './trained-model.ts';

/** The files that decide what a model scores: its own file (none of CLIP as it is), and its CLIP weights. */
export async function modelFiles({
  model = 'embedded',
  zeroShot,
  weights,
}: Pick<ScoringSpec, 'model' | 'zeroShot' | 'weights'>): Promise<{
  readonly model?: string;
  readonly weights?: string;
}> {
  if (zeroShot) return { weights: weightsPath(weights ?? 'embedded') };
  if (isOriginalFolder(model)) return { model, ...(weights !== undefined && { weights }) };
  const place = modelPath(model);
  const file = existsSync(join(place, 'model.safetensors')) ? join(place, 'model.safetensors') : place;
  const own = await modelWeights(model, await readModel(model), weights);
  return { model: file, weights: own.path };
}

/** SHA-256 of what a path of {@link modelFiles} holds: of a file its bytes', of a folder one over all of its files, by name. */
export async function modelDigest(path: string): Promise<string> {
  if (!statSync(path).isDirectory()) return weightsId(path);
  const hash = createHash('sha256');
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names)
    if (statSync(join(path, name)).isFile()) hash.update(`${name}\0${await weightsId(join(path, name))}\n`);
  return hash.digest('hex');
}
