import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import sharp from 'sharp';
import { writeOutput } from '../../common/files.ts';
import { distortionNames, distortions } from '../distort.ts';
import { Dice, drawScene, sceneKinds } from './draw.ts';

export interface SceneOptions {
  /** Different scenes; every fifth is kept for the test part. */
  readonly scenes: number;
  /** Pictures of each scene: one as drawn, the others distorted. */
  readonly versions: number;
  /** Side in pixels. */
  readonly size: number;
  readonly seed: number;
}

export const standardScenes: SceneOptions = { scenes: 240, versions: 5, size: 224, seed: 7 };

/** The score scale: a picture as drawn has the highest, a ruined one the lowest. */
const best = 5;
const worst = 1;

/**
 * Draws scenes and spoils them at known levels: PNG pictures and a `data.csv` (name, mos, split, prompt) in `folder`.
 * A scene with all its versions is in one part, so that the test asks for quality, not for a scene seen before.
 */
export async function makeScenes(
  folder: string,
  options: SceneOptions = standardScenes,
  progress: (done: number, total: number) => void = () => {},
): Promise<void> {
  const { scenes, versions, size, seed } = options;
  const unfinished = `${folder}.${process.pid}.tmp`;
  await mkdir(unfinished, { recursive: true });
  const rows: string[][] = [];
  for (let scene = 0; scene < scenes; scene++) {
    const dice = new Dice(seed, 0x5000 + scene);
    const kind = sceneKinds[scene % sceneKinds.length]!;
    const svg = Buffer.from(drawScene(kind, size, dice));
    const drawn = { data: await sharp(svg).removeAlpha().toColourspace('srgb').raw().toBuffer(), size };
    for (let version = 0; version < versions; version++) {
      const name = version === 0 ? 'clean' : dice.pick(distortionNames);
      const severity = version === 0 ? 0 : dice.range(0, 1);
      const picture =
        version === 0 ? drawn : await distortions[name]!(drawn, severity, seed * 1000 + scene * 10 + version);
      const mos = version === 0 ? best : best - 0.5 - (best - 0.5 - worst) * severity;
      const file = `${kind}_${String(scene).padStart(3, '0')}_${version}_${name}.png`;
      await sharp(picture.data, { raw: { width: size, height: size, channels: 3 } })
        .png({ compressionLevel: 6 })
        .toFile(join(unfinished, file));
      rows.push([
        file,
        mos.toFixed(3),
        scene % 5 === 4 ? 'test' : 'train',
        `${kind} (${name} ${severity.toFixed(2)})`,
      ]);
      progress(rows.length, scenes * versions);
    }
  }
  await writeOutput(join(unfinished, 'data.csv'), stringify([['name', 'mos', 'split', 'prompt'], ...rows]));
  if (existsSync(folder)) await rm(folder, { recursive: true });
  await rename(unfinished, folder);
}
